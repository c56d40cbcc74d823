/* little_endian.h - load little-endian integers from bytes of any alignment. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline uint16_t little_endian_load16(const uint8_t *p)
{
    return (uint16_t)((uint32_t)p[0] | (uint32_t)p[1] << 8);
}

static inline uint32_t little_endian_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t little_endian_load64(const uint8_t *p)
{
    return (uint64_t)little_endian_load32(p) | (uint64_t)little_endian_load32(p + 4) << 32;
}

#ifdef __cplusplus
}
#endif
