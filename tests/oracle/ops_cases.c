/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/oracle/ops_cases.h"

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/graph.h"

#include "tests/oracle/graph_make.h"

enum { NONE = GRAPH_NONE, PREFIX = 5, PATCH = 16 };

/* Parts that the cases are made of */

static int32_t conv(struct graph_make *m, int32_t in, int32_t kernel, int32_t channels,
                    enum graph_act act)
{
    return graph_make_conv(m, (const int32_t[]){in, NONE, NONE}, kernel, channels, act);
}

/* An image's features at its full size: something to work on. */
static int32_t lift(struct graph_make *m, int32_t image, int32_t channels)
{
    return conv(m, image, 3, channels, GRAPH_ACT_GELU);
}

/* Two convolutions and the way past them. */
static int32_t residual(struct graph_make *m, int32_t x)
{
    const int32_t channels = m->tensor[x].c;
    const int32_t inner = conv(m, x, 3, channels, GRAPH_ACT_GELU);
    return graph_make_conv(m, (const int32_t[]){inner, NONE, x}, 3, channels, GRAPH_ACT_NONE);
}

/* Patch tokens [h/16, w/16, channels]. */
static int32_t grid(struct graph_make *m, int32_t channels)
{
    return graph_make_grid(m, graph_make_tokens(m, PREFIX, channels), PREFIX);
}

/* Features of the image at `factor` times the size of the grid. */
static int32_t image_at(struct graph_make *m, int32_t channels, int32_t factor)
{
    int32_t x = lift(m, GRAPH_X_CNN, channels);
    for (int32_t f = PATCH; f > factor; f /= 2) {
        x = graph_make_max_pool(m, x);
    }
    return x;
}

static int32_t join(struct graph_make *m, enum graph_op_kind kind, int32_t a, int32_t b, int32_t c)
{
    return graph_make_join(m, kind, (const int32_t[]){a, b, c});
}

static int32_t linear(struct graph_make *m, int32_t in, int32_t add, int32_t channels,
                      enum graph_act act)
{
    return graph_make_linear(m, (const int32_t[]){in, add}, channels, act);
}

/* Convolutions: a -> b channels, kernel k */

static const struct ops_size conv_sizes[] = {
    {16, 16, 1, 3, 3},   {17, 23, 3, 5, 3},   {9, 31, 5, 7, 1},    {16, 16, 7, 17, 3},
    {16, 32, 17, 33, 3}, {16, 16, 33, 1, 3},  {48, 80, 33, 17, 1}, {64, 64, 8, 8, 3},
    {48, 80, 8, 16, 3},  {16, 16, 64, 64, 3}, {16, 16, 64, 32, 3}, {8, 8, 128, 128, 3},
    {4, 4, 256, 256, 3}, {2, 2, 512, 512, 3}, {1, 1, 5, 3, 3},     {1, 40, 3, 64, 1},
    {17, 23, 5, 5, 3},   {16, 32, 33, 33, 3},
};
static const struct ops_size few_conv_sizes[] = {
    {16, 16, 1, 1, 3}, {17, 23, 5, 7, 3}, {16, 48, 33, 17, 1}, {16, 16, 64, 32, 3}};

static int32_t conv_gelu(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, lift(m, GRAPH_X_CNN, s->a), s->k, s->b, GRAPH_ACT_GELU);
}

static int32_t conv_sigmoid(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, lift(m, GRAPH_X_CNN, s->a), s->k, s->b, GRAPH_ACT_SIGMOID);
}

static int32_t conv_tanh(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, lift(m, GRAPH_X_CNN, s->a), s->k, s->b, GRAPH_ACT_TANH);
}

/* Neither scale nor bias nor activation. */
static int32_t conv_bare(struct graph_make *m, const struct ops_size *s)
{
    const struct graph_op op = {
        .kind = GRAPH_CONV, .in = {lift(m, GRAPH_X_CNN, s->a), NONE, NONE}, .kernel = s->k};
    return graph_make_op(m, &op, (const int32_t[]){s->h, s->w, s->b}, 0);
}

static int32_t conv_of_image(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, GRAPH_X_CNN, s->k, s->b, GRAPH_ACT_GELU);
}

static int32_t of_two(struct graph_make *m, const struct ops_size *s, int32_t kernel)
{
    const int32_t first = lift(m, GRAPH_X_CNN, s->a);
    const int32_t in[3] = {first, lift(m, GRAPH_X_DINO, s->b), NONE};
    return graph_make_conv(m, in, kernel, s->a, GRAPH_ACT_GELU);
}

static int32_t conv1_of_two(struct graph_make *m, const struct ops_size *s)
{
    return of_two(m, s, 1);
}

static int32_t conv3_of_two(struct graph_make *m, const struct ops_size *s)
{
    return of_two(m, s, 3);
}

/* Something is added within the operation, and a skip behind it. */
static int32_t conv1_of_two_and_skips(struct graph_make *m, const struct ops_size *s)
{
    const int32_t first = lift(m, GRAPH_X_CNN, s->a);
    const int32_t second = lift(m, GRAPH_X_DINO, s->b);
    const int32_t in[3] = {first, second, lift(m, GRAPH_X_DINO, s->a)};
    return join(m, GRAPH_ADD, graph_make_conv(m, in, 1, s->a, GRAPH_ACT_SIGMOID), first, NONE);
}

static int32_t conv_residual(struct graph_make *m, const struct ops_size *s)
{
    const int32_t skip = lift(m, GRAPH_X_DINO, s->b);
    const int32_t in[3] = {lift(m, GRAPH_X_CNN, s->a), NONE, skip};
    return graph_make_conv(m, in, s->k, s->b, GRAPH_ACT_GELU);
}

static int32_t residual_block(struct graph_make *m, const struct ops_size *s)
{
    return residual(m, lift(m, GRAPH_X_CNN, s->a));
}

static int32_t conv_then_add(struct graph_make *m, const struct ops_size *s)
{
    const int32_t skip = lift(m, GRAPH_X_DINO, s->b);
    const int32_t x = conv(m, lift(m, GRAPH_X_CNN, s->a), s->k, s->b, GRAPH_ACT_NONE);
    return join(m, GRAPH_ADD, x, skip, NONE);
}

/* Maps of other sizes: a channels, b after a convolution, upsampled k times */

static const struct ops_size pool_sizes[] = {
    {2, 2, 1, 3, 0},    {34, 22, 3, 7, 0},  {16, 16, 17, 33, 0},  {32, 48, 33, 5, 0},
    {48, 80, 8, 16, 0}, {16, 16, 64, 8, 0}, {16, 32, 64, 128, 0},
};
static const struct ops_size upsample_sizes[] = {
    {16, 16, 3, 1, 2},     {32, 48, 5, 7, 2},   {64, 64, 33, 17, 2}, {16, 16, 3, 1, 4},
    {48, 32, 7, 17, 4},    {48, 80, 32, 32, 4}, {16, 16, 17, 5, 8},  {48, 80, 96, 16, 8},
    {16, 32, 3, 33, 16},   {48, 80, 96, 8, 16}, {64, 64, 96, 8, 16}, {16, 16, 512, 64, 16},
    {16, 16, 256, 512, 2}, {16, 16, 17, 17, 2}, {32, 48, 5, 5, 8},   {16, 32, 64, 64, 16},
    {64, 128, 9, 17, 2},   {64, 128, 9, 8, 4}};
static const struct ops_size head_sizes[] = {
    {16, 16, 3, 5, 16},    {32, 16, 7, 3, 8},     {48, 32, 5, 7, 4},     {32, 48, 33, 17, 2},
    {48, 80, 96, 8, 16},   {48, 80, 96, 16, 8},   {64, 64, 96, 32, 4},   {64, 64, 96, 64, 2},
    {16, 16, 768, 64, 16}, {32, 16, 768, 128, 8}, {16, 16, 768, 256, 4}, {32, 16, 768, 512, 2},
};

static int32_t max_pool(struct graph_make *m, const struct ops_size *s)
{
    return graph_make_max_pool(m, lift(m, GRAPH_X_CNN, s->a));
}

static int32_t conv_of_pooled(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, graph_make_max_pool(m, lift(m, GRAPH_X_CNN, s->a)), 3, s->b, GRAPH_ACT_GELU);
}

static int32_t upsample(struct graph_make *m, const struct ops_size *s)
{
    return graph_make_upsample(m, grid(m, s->a), s->k);
}

static int32_t conv3_of_upsampled(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, graph_make_upsample(m, grid(m, s->a), s->k), 3, s->b, GRAPH_ACT_GELU);
}

static int32_t conv1_of_upsampled(struct graph_make *m, const struct ops_size *s)
{
    return conv(m, graph_make_upsample(m, grid(m, s->a), s->k), 1, s->b, GRAPH_ACT_NONE);
}

/* The upsampled map has two readers: it cannot vanish into one of them. */
static int32_t upsampled_read_twice(struct graph_make *m, const struct ops_size *s)
{
    const int32_t up = graph_make_upsample(m, grid(m, s->a), s->k);
    const int32_t x = conv(m, up, 3, s->a, GRAPH_ACT_GELU);
    return join(m, GRAPH_ADD, x, up, NONE);
}

static int32_t decoder_step(struct graph_make *m, const struct ops_size *s)
{
    const int32_t skip = lift(m, GRAPH_X_DINO, s->b);
    const int32_t deep = graph_make_max_pool(m, lift(m, GRAPH_X_CNN, s->a));
    int32_t x = graph_make_upsample(m, deep, 2);
    x = residual(m, conv(m, x, 3, s->b, GRAPH_ACT_GELU));
    return join(m, GRAPH_ADD, x, skip, NONE);
}

/* DINO width a, level's channels b, its map k times the grid's size: both projections of a level. */
static void fusion_inputs(struct graph_make *m, const struct ops_size *s, int32_t in[2])
{
    const int32_t map = conv(m, grid(m, s->a), 3, s->b, GRAPH_ACT_GELU);
    const int32_t up = graph_make_upsample(m, map, s->k);
    in[0] = conv(m, image_at(m, s->b, s->k), 3, s->b, GRAPH_ACT_GELU);
    in[1] = conv(m, up, 3, s->b, GRAPH_ACT_GELU);
}

static int32_t fusion_cnn(struct graph_make *m, const struct ops_size *s)
{
    int32_t in[2];
    m->stage = GRAPH_FUSION;
    fusion_inputs(m, s, in);
    const int32_t both[3] = {in[0], in[1], NONE};
    return residual(m, graph_make_conv(m, both, 1, s->b, GRAPH_ACT_GELU));
}

static int32_t fusion_gated(struct graph_make *m, const struct ops_size *s)
{
    int32_t in[2];
    fusion_inputs(m, s, in);
    const int32_t both[3] = {in[0], in[1], NONE};
    const int32_t gate = graph_make_conv(m, both, 1, s->b, GRAPH_ACT_SIGMOID);
    return conv(m, join(m, GRAPH_GATE, in[0], in[1], gate), 3, s->b, GRAPH_ACT_GELU);
}

static int32_t fusion_se(struct graph_make *m, const struct ops_size *s)
{
    int32_t in[2];
    fusion_inputs(m, s, in);
    const int32_t means[3] = {graph_make_mean(m, in[0]), graph_make_mean(m, in[1]), NONE};
    const int32_t hidden = graph_make_conv(m, means, 1, s->b / 4 + 1, GRAPH_ACT_GELU);
    const int32_t factors = conv(m, hidden, 1, 2 * s->b, GRAPH_ACT_SIGMOID);
    return join(m, GRAPH_SCALE_ADD, in[0], in[1], factors);
}

static int32_t fusion_none(struct graph_make *m, const struct ops_size *s)
{
    const int32_t map = conv(m, grid(m, s->a), 3, s->b, GRAPH_ACT_GELU);
    const int32_t up = graph_make_upsample(m, map, s->k);
    return join(m, GRAPH_ADD, image_at(m, s->b, s->k), up, NONE);
}

/* Element by element: a channels */

static const struct ops_size join_sizes[] = {
    {16, 16, 1, 0, 0}, {17, 23, 3, 0, 0}, {9, 31, 17, 0, 0}, {48, 80, 8, 0, 0}, {16, 16, 64, 0, 0}};

static int32_t add(struct graph_make *m, const struct ops_size *s)
{
    const int32_t first = lift(m, GRAPH_X_CNN, s->a);
    return join(m, GRAPH_ADD, first, lift(m, GRAPH_X_DINO, s->a), NONE);
}

static int32_t mean(struct graph_make *m, const struct ops_size *s)
{
    return graph_make_mean(m, lift(m, GRAPH_X_CNN, s->a));
}

static int32_t gate(struct graph_make *m, const struct ops_size *s)
{
    const int32_t first = lift(m, GRAPH_X_CNN, s->a);
    const int32_t second = lift(m, GRAPH_X_DINO, s->a);
    const int32_t g = conv(m, GRAPH_X_CNN, 3, s->a, GRAPH_ACT_SIGMOID);
    return join(m, GRAPH_GATE, first, second, g);
}

static int32_t scale_add(struct graph_make *m, const struct ops_size *s)
{
    const int32_t first = lift(m, GRAPH_X_CNN, s->a);
    const int32_t second = lift(m, GRAPH_X_DINO, s->a);
    const int32_t factors = graph_make_mean(m, lift(m, GRAPH_X_CNN, 2 * s->a));
    return join(m, GRAPH_SCALE_ADD, first, second, factors);
}

/* Tokens: width a, b other channels, k heads or tokens before the patches */

static const struct ops_size token_sizes[] = {
    {16, 16, 5, 3, 1},    {16, 48, 17, 33, 0},  {32, 48, 33, 5, 5},   {48, 80, 96, 384, 5},
    {64, 64, 96, 256, 5}, {32, 32, 384, 64, 5}, {32, 16, 768, 16, 5},
};
static const struct ops_size attention_sizes[] = {
    {16, 16, 4, 0, 1},  {32, 48, 18, 0, 3},  {48, 80, 96, 0, 6},
    {64, 64, 96, 0, 6}, {32, 48, 384, 0, 6}, {32, 48, 768, 0, 12},
};
static const struct ops_size linear_sizes[] = {
    {16, 16, 1, 3, 0},      {16, 48, 17, 33, 0},    {32, 48, 33, 7, 0},
    {48, 80, 96, 288, 0},   {64, 64, 96, 384, 0},   {64, 64, 384, 96, 0},
    {16, 16, 768, 2304, 0}, {32, 32, 768, 3072, 0}, {32, 16, 3072, 768, 0}};

static int32_t patch_tokens(struct graph_make *m, const struct ops_size *s)
{
    return graph_make_tokens(m, s->k, s->a);
}

static int32_t normed_tokens(struct graph_make *m, int32_t prefix, int32_t channels)
{
    return graph_make_layer_norm(m, graph_make_tokens(m, prefix, channels));
}

static int32_t layer_norm(struct graph_make *m, const struct ops_size *s)
{
    return normed_tokens(m, s->k, s->a);
}

static int32_t layer_norm_to_grid(struct graph_make *m, const struct ops_size *s)
{
    return graph_make_grid(m, graph_make_tokens(m, s->k, s->a), s->k);
}

static int32_t linear_gelu(struct graph_make *m, const struct ops_size *s)
{
    return linear(m, normed_tokens(m, PREFIX, s->a), NONE, s->b, GRAPH_ACT_GELU);
}

static int32_t linear_of_tokens(struct graph_make *m, const struct ops_size *s)
{
    return linear(m, graph_make_tokens(m, PREFIX, s->a), NONE, s->b, GRAPH_ACT_GELU);
}

static int32_t linear_residual(struct graph_make *m, const struct ops_size *s)
{
    const int32_t skip = graph_make_tokens(m, PREFIX, s->b);
    return linear(m, normed_tokens(m, PREFIX, s->a), skip, s->b, GRAPH_ACT_NONE);
}

static int32_t swiglu(struct graph_make *m, const struct ops_size *s)
{
    const int32_t x = normed_tokens(m, s->k, s->a);
    const int32_t first = linear(m, x, NONE, s->b, GRAPH_ACT_NONE);
    const int32_t second = linear(m, x, NONE, s->b, GRAPH_ACT_NONE);
    return join(m, GRAPH_SWIGLU, first, second, NONE);
}

static int32_t attend(struct graph_make *m, int32_t x, int32_t heads)
{
    const int32_t width = m->tensor[x].c;
    return graph_make_attention(m, linear(m, x, NONE, 3 * width, GRAPH_ACT_NONE), heads, PREFIX);
}

static int32_t attention(struct graph_make *m, const struct ops_size *s)
{
    return attend(m, normed_tokens(m, PREFIX, s->a), s->k);
}

/* No token stands before the patches: all of them turn. */
static int32_t attention_of_patches_alone(struct graph_make *m, const struct ops_size *s)
{
    const int32_t x = normed_tokens(m, 0, s->a);
    const int32_t qkv = linear(m, x, NONE, 3 * s->a, GRAPH_ACT_NONE);
    return graph_make_attention(m, qkv, s->k, 0);
}

static int32_t attention_half(struct graph_make *m, int32_t x, int32_t heads)
{
    m->stage = GRAPH_VIT;
    const int32_t mixed = attend(m, graph_make_layer_norm(m, x), heads);
    return linear(m, mixed, x, m->tensor[x].c, GRAPH_ACT_NONE);
}

static int32_t block_mlp(struct graph_make *m, const struct ops_size *s)
{
    const int32_t x = attention_half(m, graph_make_tokens(m, PREFIX, s->a), s->k);
    const int32_t normed = graph_make_layer_norm(m, x);
    const int32_t hidden = linear(m, normed, NONE, 4 * s->a, GRAPH_ACT_GELU);
    return linear(m, hidden, x, s->a, GRAPH_ACT_NONE);
}

static int32_t block_swiglu(struct graph_make *m, const struct ops_size *s)
{
    const int32_t x = attention_half(m, graph_make_tokens(m, PREFIX, s->a), s->k);
    const int32_t normed = graph_make_layer_norm(m, x);
    const int32_t first = linear(m, normed, NONE, 3 * s->a, GRAPH_ACT_NONE);
    const int32_t second = linear(m, normed, NONE, 3 * s->a, GRAPH_ACT_NONE);
    return linear(m, join(m, GRAPH_SWIGLU, first, second, NONE), x, s->a, GRAPH_ACT_NONE);
}

/* clang-format off */
#define OVER(sizes) sizes, sizeof (sizes) / sizeof (sizes)[0]
const struct ops_case ops_cases[] = {
    {"conv gelu", conv_gelu, OVER(conv_sizes), false},
    {"conv sigmoid", conv_sigmoid, OVER(few_conv_sizes), false},
    {"conv tanh", conv_tanh, OVER(few_conv_sizes), false},
    {"conv bare", conv_bare, OVER(few_conv_sizes), false},
    {"conv of image", conv_of_image, OVER(conv_sizes), false},
    {"conv1 of two", conv1_of_two, OVER(conv_sizes), false},
    {"conv1 of two and skips", conv1_of_two_and_skips, OVER(conv_sizes), false},
    {"conv3 of two", conv3_of_two, OVER(few_conv_sizes), true},
    {"conv residual", conv_residual, OVER(conv_sizes), false},
    {"residual block", residual_block, OVER(conv_sizes), false},
    {"conv then add", conv_then_add, OVER(conv_sizes), false},
    {"max pool", max_pool, OVER(pool_sizes), false},
    {"conv of pooled", conv_of_pooled, OVER(pool_sizes), false},
    {"decoder step", decoder_step, OVER(pool_sizes), false},
    {"upsample", upsample, OVER(upsample_sizes), false},
    {"conv3 of upsampled", conv3_of_upsampled, OVER(upsample_sizes), false},
    {"conv1 of upsampled", conv1_of_upsampled, OVER(upsample_sizes), false},
    {"upsampled read twice", upsampled_read_twice, OVER(upsample_sizes), false},
    {"fusion cnn", fusion_cnn, OVER(head_sizes), false},
    {"fusion gated", fusion_gated, OVER(head_sizes), false},
    {"fusion se", fusion_se, OVER(head_sizes), false},
    {"fusion none", fusion_none, OVER(head_sizes), false},
    {"add", add, OVER(join_sizes), false},
    {"mean", mean, OVER(join_sizes), false},
    {"gate", gate, OVER(join_sizes), false},
    {"scale add", scale_add, OVER(join_sizes), false},
    {"patch tokens", patch_tokens, OVER(token_sizes), false},
    {"layer norm", layer_norm, OVER(token_sizes), false},
    {"layer norm to grid", layer_norm_to_grid, OVER(token_sizes), false},
    {"swiglu", swiglu, OVER(token_sizes), false},
    {"linear gelu", linear_gelu, OVER(linear_sizes), false},
    {"linear of tokens", linear_of_tokens, OVER(linear_sizes), true},
    {"linear residual", linear_residual, OVER(linear_sizes), false},
    {"attention", attention, OVER(attention_sizes), false},
    {"attention of patches alone", attention_of_patches_alone, OVER(attention_sizes), false},
    {"block mlp", block_mlp, OVER(attention_sizes), false},
    {"block swiglu", block_swiglu, OVER(attention_sizes), false},
};
/* clang-format on */
const size_t ops_cases_count = sizeof ops_cases / sizeof ops_cases[0];
