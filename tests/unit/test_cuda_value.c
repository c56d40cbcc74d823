/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/value.h"

static void every_f16_is_itself_again(void)
{
    for (uint32_t h = 0; h <= 0xffffU; h++) {
        const float f = value_of_f16((uint16_t)h);
        const bool number = (h & 0x7c00U) != 0x7c00U || (h & 0x3ffU) == 0;
        assert((isnan(f) == 0) == number);
        assert(number ? value_to_f16(f) == h : isnan(value_of_f16(value_to_f16(f))));
    }
    assert(value_of_f16(0x3c00U) == 1.0F && value_of_f16(0x7bffU) == 65504.0F);
    assert(value_of_f16(0x0001U) == 0x1p-24F && value_of_f16(0xc000U) == -2.0F);
}

/* Halfway between two neighbours the even one, else the nearer. */
static void f16_rounds_to_nearest_even(void)
{
    for (uint32_t h = 0; h < 0x7bffU; h++) {
        const float low = value_of_f16((uint16_t)h);
        const float high = value_of_f16((uint16_t)(h + 1));
        const float middle = 0.5F * (low + high); /* exact in f32 */
        assert(value_to_f16(middle) == (h % 2 == 0 ? h : h + 1));
        assert(value_to_f16(nextafterf(middle, 0.0F)) == h);
        assert(value_to_f16(nextafterf(middle, 1e9F)) == h + 1);
        assert(value_to_f16(-middle) == (0x8000U | (h % 2 == 0 ? h : h + 1)));
    }
}

static void what_f16_cannot_hold_is_infinite(void)
{
    assert(value_to_f16(65519.996F) == 0x7bffU);
    assert(value_to_f16(65520.0F) == 0x7c00U);
    assert(value_to_f16(1e30F) == 0x7c00U && value_to_f16(-INFINITY) == 0xfc00U);
    assert(value_to_f16(0x1p-25F) == 0 && value_to_f16(0x1.000002p-25F) == 1);
}

static void bf16_rounds_to_nearest_even(void)
{
    for (uint32_t b = 0; b < 0x7f7fU; b++) {
        const float low = value_of_bf16((uint16_t)b);
        assert(value_to_bf16(low) == b);
        const float middle = value_of_bits((b << 16) + 0x8000U);
        assert(value_to_bf16(middle) == (b % 2 == 0 ? b : b + 1));
        assert(value_to_bf16(value_of_bits((b << 16) + 0x7fffU)) == b);
        assert(value_to_bf16(value_of_bits((b << 16) + 0x8001U)) == b + 1);
    }
    assert(value_to_bf16(INFINITY) == 0x7f80U && isnan(value_of_bf16(value_to_bf16(NAN))));
}

static void check_lanes(int32_t type)
{
    float memory[24] = {0.0F};
    struct lanes x;
    for (int i = 0; i < VALUE_LANES; i++) {
        x.v[i] = (float)(i + 1);
    }
    lanes_store(memory, type, 8, &x);
    const struct lanes y = lanes_load(memory, type, 8);
    for (size_t i = 0; i < 8; i++) {
        assert(value_load(memory, type, i) == 0.0F);
        assert(value_load(memory, type, 8 + i) == (float)(i + 1));
        assert(value_load(memory, type, 16 + i) == 0.0F);
    }
    assert(y.v[0] == 1.0F && y.v[7] == 8.0F);
}

static void lanes_are_eight_neighbours(void)
{
    check_lanes(VALUE_F32);
    check_lanes(VALUE_F16);
    check_lanes(VALUE_BF16);
}

int main(void)
{
    every_f16_is_itself_again();
    f16_rounds_to_nearest_even();
    what_f16_cannot_hold_is_infinite();
    bf16_rounds_to_nearest_even();
    lanes_are_eight_neighbours();
    return 0;
}
