/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's own checks of the graphs that convolutions become, which it makes without a GPU too. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/conv_graph.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/error.h"

static _Alignas(256) unsigned char memory[6][256];

static const float bias[128];

static struct operand at(int i, int32_t type, int32_t stride)
{
    return (struct operand){.data = memory[i], .type = type, .stride = stride};
}

/* Bits of `parts`: before, bias, the first and the second that is added. */
static struct product_args args_of(int32_t type, int32_t kernel, int32_t act, unsigned parts)
{
    const struct operand none = {.data = NULL};
    return (struct product_args){
        .x = at(0, type, 64),
        .weight = memory[1],
        .finish = {.before = (parts & 1U) != 0 ? at(2, type, 128) : none,
                   .bias = (parts & 2U) != 0 ? bias : NULL,
                   .add = {(parts & 4U) != 0 ? at(4, type, 128) : none,
                           (parts & 8U) != 0 ? at(4, type, 128) : none},
                   .y = at(5, type, 128),
                   .act = act},
        .slices = 4,
        .h = 32,
        .w = 48,
        .kernel = kernel,
    };
}

static void check(const struct product_args *a, bool fused, int32_t operands)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct conv_graph g;
    int r = conv_graph_init(&g, a, fused, NULL, &err);
    if (r < 0) {
        (void)printf("%s\n", err.text);
    }
    assert(r == 0 && g.n_operands == operands);
    for (int32_t i = 0; i < g.n_operands; i++) {
        assert(g.pointer[i] != NULL && g.uid[i] == i + 1);
    }
    conv_graph_fini(&g);
}

static void check_parts(int32_t type, unsigned act_parts)
{
    const int32_t act = (int32_t)(act_parts / 16);
    const unsigned parts = act_parts % 16;
    const struct product_args a = args_of(type, parts % 2 == 0 ? 3 : 1, act, parts);
    int32_t operands = 3;
    for (unsigned bit = 1; bit < 16; bit *= 2) {
        operands += (parts & bit) != 0 ? 1 : 0;
    }
    check(&a, true, operands);
    check(&a, false, 3);
}

static void cudnn_takes_every_epilogue(void)
{
    for (int32_t type = VALUE_F32; type <= VALUE_BF16; type++) {
        for (unsigned act_parts = 0; act_parts < 16 * (BODY_TANH + 1); act_parts++) {
            check_parts(type, act_parts);
        }
    }
}

static void what_cudnn_refuses_is_an_error(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct conv_graph g;
    struct product_args a = args_of(VALUE_F16, 3, BODY_GELU, 2);
    a.h = 0;
    assert(conv_graph_init(&g, &a, true, NULL, &err) == SCTD_EINVAL);
    conv_graph_fini(&g);
}

int main(void)
{
    cudnn_takes_every_epilogue();
    what_cudnn_refuses_is_an_error();
    return 0;
}
