#include "core/mutant.h"

#ifdef QUORATE_MUTANTS
enum mutant mutant_on;
#endif
