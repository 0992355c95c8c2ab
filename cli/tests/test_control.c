/* How many hosts vote. */

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"

static void as_many_vote_as_an_odd_number_allows(void **state)
{
    (void)state;
    static const uint32_t table[][4] = {
        /* most, eligible, gone, voters */
        {5, 0, 0, 1},
        {5, 1, 0, 1},
        {5, 2, 0, 1},
        {5, 3, 0, 3},
        {5, 4, 0, 3},
        {5, 5, 0, 5},
        {5, 9, 0, 5},
        {3, 9, 0, 3},
        {1, 9, 0, 1},
        /* With a standby at hand one that is gone is replaced, not missed. */
        {3, 4, 1, 3},
        {5, 9, 2, 5},
        {5, 6, 1, 5},
        /* Without: two fewer for two, so that the rest can lose one more; never fewer than three.
         */
        {5, 5, 1, 5},
        {5, 5, 2, 3},
        {5, 5, 3, 3},
        {5, 4, 1, 3},
        {3, 3, 1, 3},
        {3, 3, 2, 3},
        {7, 7, 1, 7},
        {7, 7, 2, 5},
        {7, 7, 3, 5},
        {5, 2, 1, 1},
        {5, 1, 1, 1},
        {1, 3, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const uint32_t *t = table[i];
        if (control_voters(t[0], t[1], t[2]) != t[3]) {
            fail_msg("%u of %u with %u gone: %u, not %u", t[0], t[1], t[2],
                     control_voters(t[0], t[1], t[2]), t[3]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_many_vote_as_an_odd_number_allows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
