# For what uses threads: the log writer and the snapshot worker.
set(CMAKE_BUILD_TYPE "" CACHE STRING "")
set(CMAKE_C_FLAGS "-O1 -g -fno-omit-frame-pointer -fsanitize=thread" CACHE STRING "")
