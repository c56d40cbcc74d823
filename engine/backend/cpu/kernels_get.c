/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>

#include "engine/backend/cpu/kernels.h"

extern const struct kernels kernels_generic;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx512_bf16;

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512_bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

static bool has_anything(void)
{
    return true;
}

static const struct {
    const struct kernels *kernels;
    bool (*runs)(void);
} tables[] = {
#if defined(__x86_64__)
    {&kernels_avx512_bf16, has_avx512_bf16},
    {&kernels_avx512, has_avx512},
    {&kernels_avx2, has_avx2},
#endif
    {&kernels_generic, has_anything},
};

const struct kernels *kernels_get_at(size_t i)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        if (tables[t].runs() && i-- == 0) {
            return tables[t].kernels;
        }
    }
    return NULL;
}

const struct kernels *kernels_get(void)
{
    return kernels_get_at(0);
}
