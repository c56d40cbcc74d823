/*
 * onednn.h - the matrix products of the CPU backend: convolutions and matrix multiplications.
 *
 * The one place that knows oneDNN (C API of version 2.6).  Products take f32 or bf16 operands and
 * leave f32; bias, activation and residuals are the caller's epilogue, which costs less than
 * oneDNN's own (its erf GELU doubles the time of a narrow bf16 convolution).  Every product runs on
 * the thread that calls it.
 *
 * Thread safety: creation from several threads is safe; a product may run on several workers at
 * once, each under its own worker number.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/base/error.h" // IWYU pragma: export

struct onednn;
struct onednn_weights;
struct onednn_product;

/* *ret_onednn: the caller closes it after every product made with it.
 * Errors: SCTD_EDEVICE (oneDNN does not start), SCTD_ENOMEM. */
SCTD_NODISCARD int onednn_open(struct onednn **ret_onednn, int32_t workers, struct sctd_error *err);
void onednn_close(struct onednn *onednn); /* NULL is a no-op */

/* Must be called once on each thread that creates or runs products. */
void onednn_enter_thread(void);

enum onednn_isa { ONEDNN_NO_BF16, ONEDNN_BF16, ONEDNN_AMX };
enum onednn_isa onednn_get_isa(void);

struct onednn_conv_shape {
    int32_t rows, width; /* of the output */
    int32_t in_channels, out_channels;
    int32_t kernel;   /* 1 or 3 */
    bool top, bottom; /* kernel 3: the row above (below) is zero padding, not part of the input */
    bool bf16;
};

struct onednn_matmul_shape {
    int32_t m, k, n;
    bool bf16;
    bool transposed; /* second operand given as [n, k]; else as [k, n] */
};

/*
 * A convolution of stride 1, [rows (+ 2 less padding), width, in] -> f32 [rows, width, out].
 * plain: [out, in, kernel, kernel] f32 or bf16; packed into *io_weights if that is NULL, otherwise
 * unused: the product then shares those weights.  The caller frees the weights after the products.
 * Errors: SCTD_EINVAL (oneDNN has no such convolution), SCTD_ENOMEM.
 */
SCTD_NODISCARD int onednn_conv_new(struct onednn_product **ret_product, struct onednn *onednn,
                                   const struct onednn_conv_shape *shape, const void *plain,
                                   struct onednn_weights **io_weights, struct sctd_error *err);

/*
 * [m, k] x [k, n] -> f32 [m, n], with constant weights `plain`.  As onednn_conv_new.
 */
SCTD_NODISCARD int onednn_matmul_new(struct onednn_product **ret_product, struct onednn *onednn,
                                     const struct onednn_matmul_shape *shape, const void *plain,
                                     struct onednn_weights **io_weights, struct sctd_error *err);

/* The same with both operands given at run time. */
SCTD_NODISCARD int onednn_matmul_free_new(struct onednn_product **ret_product,
                                          struct onednn *onednn,
                                          const struct onednn_matmul_shape *shape,
                                          struct sctd_error *err);

void onednn_product_free(struct onednn_product *product); /* NULL is a no-op */
void onednn_weights_free(struct onednn_weights *weights); /* NULL is a no-op */

/* Bytes of 64-byte aligned scratch that a run needs. */
size_t onednn_get_scratch(const struct onednn_product *product);

/*
 * second: the second operand of onednn_matmul_free_new; NULL for the others.
 * Returns false if oneDNN fails; the output is then undefined.
 */
bool onednn_run(struct onednn_product *product, int32_t worker, const void *first,
                const void *second, float *out, void *scratch);
