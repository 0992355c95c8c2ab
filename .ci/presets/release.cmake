# What operators run: optimised, with symbols; assertions stay on.
set(CMAKE_BUILD_TYPE "" CACHE STRING "")
set(CMAKE_C_FLAGS "-O2 -g -fno-omit-frame-pointer" CACHE STRING "")
