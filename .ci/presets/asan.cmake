# Every test runs under AddressSanitizer and UndefinedBehaviorSanitizer.
set(CMAKE_BUILD_TYPE "" CACHE STRING "")
set(CMAKE_C_FLAGS "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" CACHE STRING "")
