# As release, with the deliberate mistakes of core/mutants.def behind a switch: for `lab chaos
# --mutants` alone.
include(${CMAKE_CURRENT_LIST_DIR}/release.cmake)
set(QUORATE_MUTANTS ON CACHE BOOL "")
