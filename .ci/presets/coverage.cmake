# Line coverage for gcov.
set(CMAKE_BUILD_TYPE "" CACHE STRING "")
set(CMAKE_C_FLAGS "-O0 -g --coverage" CACHE STRING "")
