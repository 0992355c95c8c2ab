/* Deliberate mistakes, by which the failure lab is judged (docs/chaos.md): a build with
 * QUORATE_MUTANTS can make any one of them at run time, and a run of the simulator must find it. In
 * every other build MUTANT() is the constant false, and nothing of this is left. */

#ifndef CORE_MUTANT_H
#define CORE_MUTANT_H

#include <stdbool.h>

// NOLINTBEGIN(readability-identifier-naming): names of a table, as they are asked for
enum mutant {
    MUTANT_none,
#define M(name, text) MUTANT_##name,
#include "core/mutants.def"
#undef M
    MUTANTS
};
// NOLINTEND(readability-identifier-naming)

#ifdef QUORATE_MUTANTS
extern enum mutant mutant_on;
#define MUTANT(name) (mutant_on == MUTANT_##name)
#else
#define MUTANT(name) false
#endif

#endif
