#include <string.h>

#include "core/crc32c.h"
#include "core/rng.h"
#include "core/tests/cm.h"
#include "core/util.h"

/* Known answers of RFC 3720, appendix B.4, and the check value of the CRC catalogue. */
static void known_answers_come_out(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t up[32];
    uint8_t down[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    uint32_t (*const all[])(uint32_t, const void *, size_t) = {crc32c, crc32c_table};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(all[i](0, zeros, 32), 0x8a9136aau);
        assert_int_equal(all[i](0, ones, 32), 0x62a8ab43u);
        assert_int_equal(all[i](0, up, 32), 0x46dd794eu);
        assert_int_equal(all[i](0, down, 32), 0x113fdb5cu);
        assert_int_equal(all[i](0, "123456789", 9), 0xe3069283u);
        assert_int_equal(all[i](0, "", 0), 0);
    }
}

static void both_ways_agree_at_every_length_and_split(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    uint8_t data[100];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)rng_u64(&rng);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; from + len <= sizeof data; len++) {
            uint32_t whole = crc32c_table(0, data + from, len);
            assert_int_equal(crc32c(0, data + from, len), whole);
            size_t cut = len / 3;
            uint32_t split = crc32c(0, data + from, cut);
            assert_int_equal(crc32c(split, data + from + cut, len - cut), whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_come_out),
        cmocka_unit_test(both_ways_agree_at_every_length_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
