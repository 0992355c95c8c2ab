# The libFuzzer targets, built by clang with both sanitizers.
set(CMAKE_BUILD_TYPE "" CACHE STRING "")
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(QUORATE_FUZZ ON CACHE BOOL "")
set(CMAKE_C_FLAGS "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" CACHE STRING "")
