/*
 * ops_cases.h - the graphs and sizes over which a backend is compared with the reference.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/oracle/graph_make.h"

/* What a and b, mostly channels, and k mean is the builder's affair. */
struct ops_size {
    int32_t h, w; /* of the network's inputs */
    int32_t a, b;
    int32_t k;
};

struct ops_case {
    const char *name;
    /* Append the operations under test to a fresh graph; returns the tensor to compare. */
    int32_t (*build)(struct graph_make *m, const struct ops_size *s);
    const struct ops_size *sizes;
    size_t n_sizes;
    bool
        optional; /* the network has no such thing: a backend may refuse it, but not get it wrong */
};

extern const struct ops_case ops_cases[];
extern const size_t ops_cases_count;
