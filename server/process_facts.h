/* process_facts.h - what this process uses of its machine, as the kernel tells. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct process_facts {
    int64_t resident_bytes, open_files, max_files;
    double cpu_s;
};

/* What cannot be told is 0. */
void process_facts_read(struct process_facts *ret_facts);

#ifdef __cplusplus
}
#endif
