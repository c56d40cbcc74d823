/*
 * kernels_math.h - the functions of one vector that kernels.c needs.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/cpu/simd.h" // IWYU pragma: export

/*
 * GELU by erf: x Phi(x) = max(x, 0) - g(|x|), g(t) = t erfc(t / sqrt 2) / 2.  g is a polynomial of
 * degree 4, interpolated at Chebyshev nodes, in each of 32 intervals of width 4/21 around 0, 4/21, ...
 * in the distance from the interval's middle in intervals; from 6 on, g < 6e-9.  Largest error for
 * x < 1: 6e-8; beyond, the rounding of the result.
 */
static const float gelu_table[5][32] = {
    {0.00000000000F,  0.0808510482F,   0.133950204F,    0.162202612F,    0.169949278F,
     0.162335157F,    0.144627377F,    0.121614963F,    0.0971857533F,   0.0741225109F,
     0.05410574F,     0.0378712527F,   0.0254525468F,   0.0164410025F,   0.0102143483F,
     0.00610676268F,  0.00351485168F,  0.00194821029F,  0.00104017172F,  0.000535056693F,
     0.000265208946F, 0.000126684972F, 5.83250658e-05F, 2.58830387e-05F, 1.10722376e-05F,
     4.56605221e-06F, 1.81531766e-06F, 6.9580642e-07F,  2.57136179e-07F, 9.16198601e-08F,
     3.14759347e-08F, 1.04265228e-08F},
    {0.095238097F,     0.0666372031F,    0.0400531553F,    0.0171862468F,    -0.000823521754F,
     -0.0135164345F,   -0.0210936572F,   -0.0242797714F,   -0.0241150316F,   -0.0217342172F,
     -0.0181809757F,   -0.0142869595F,   -0.0106225004F,   -0.00750720222F,  -0.00505885296F,
     -0.00325770257F,  -0.00200799573F,  -0.00118614919F,  -0.000672129681F, -0.000365619082F,
     -0.000191041196F, -9.59311292e-05F, -4.63128163e-05F, -2.1502934e-05F,  -9.60443958e-06F,
     -4.12789495e-06F, -1.70748604e-06F, -6.79884408e-07F, -2.60633243e-07F, -9.62056106e-08F,
     -3.41978463e-08F, -1.17076828e-08F},
    {-0.0144741517F,  -0.0139560383F,  -0.0124842534F,   -0.0102866497F,  -0.00768499542F,
     -0.00502587203F, -0.00261351187F, -0.000661170227F, 0.000729782972F, 0.00156305975F,
     0.00192048727F,  0.00192611583F,  0.00171214039F,   0.00139389269F,  0.00105662108F,
     0.000752908876F, 0.000507352292F, 0.000324624678F,  0.000197790447F, 0.000115000359F,
     6.39087593e-05F, 3.398849e-05F,   1.73159224e-05F,  8.45768409e-06F, 3.96311771e-06F,
     1.78255061e-06F, 7.69960195e-07F, 3.19512793e-07F,  1.27423561e-07F, 4.88518346e-08F,
     1.80091604e-08F, 6.38536513e-09F},
    {2.78510868e-07F,  0.000339823135F,  0.000626036548F,  0.000817412743F,  0.000893779157F,
     0.000858626619F,  0.000735430687F,  0.000559486041F,  0.000368217035F,  0.000192903361F,
     5.37570195e-05F,  -4.11450746e-05F, -9.38254816e-05F, -0.000112704285F, -0.000108702967F,
     -9.21955652e-05F, -7.12472538e-05F, -5.10656901e-05F, -3.4296103e-05F,  -2.17239267e-05F,
     -1.30354338e-05F, -7.43315331e-06F, -4.03733975e-06F, -2.09251471e-06F, -1.03633988e-06F,
     -4.91004243e-07F, -2.22749421e-07F, -9.68337588e-08F, -4.03639291e-08F, -1.61418043e-08F,
     -6.19590557e-09F, -2.28363306e-09F},
    {8.70399745e-05F,  8.03894727e-05F,  6.10692878e-05F,  3.38198843e-05F,  4.51612914e-06F,
     -2.11395782e-05F, -3.90376081e-05F, -4.74372755e-05F, -4.69546467e-05F, -3.99087548e-05F,
     -2.93582998e-05F, -1.81880532e-05F, -8.49787193e-06F, -1.38105418e-06F, 2.96923918e-06F,
     4.96738721e-06F,  5.30484795e-06F,  4.6857358e-06F,   3.67165376e-06F,  2.62927938e-06F,
     1.74776744e-06F,  1.08855659e-06F,  6.39108634e-07F,  3.5520668e-07F,   1.87454958e-07F,
     9.41502805e-08F,  4.50848603e-08F,  2.06129656e-08F,  9.0084562e-09F,   3.76679665e-09F,
     1.50816892e-09F,  5.78595782e-10F},
};

static inline v16f gelu(v16f x)
{
    const v16f magic = simd_set(12582912.0F); /* 1.5 * 2^23: its sums are rounded to integers */
    const v16f t = simd_min(simd_abs(x), simd_set(5.9999F));
    const v16f s = simd_fma(t, simd_set(5.25F), magic);
    const v16i i = (v16i)s; /* its low bits are the interval's number */
    const v16f u = simd_fma(t, simd_set(5.25F), magic - s);
    v16f g = simd_lookup(gelu_table[4], i);
    for (int k = 3; k >= 0; k--) {
        g = simd_fma(g, u, simd_lookup(gelu_table[k], i));
    }
    return simd_max(x, simd_set(0.0F)) - g;
}

/* e^x, held to -87 ... 88: 2^n e^r, |r| <= ln 2 / 2, by a polynomial of degree 6 (2e-8). */
static inline v16f exponential(v16f x)
{
    static const float c[7] = {1.0F,          1.0F,           0.5F,          0.166664153F,
                               0.0416663513F, 0.00837512594F, 0.00139411085F};
    x = simd_min(simd_max(x, simd_set(-87.0F)), simd_set(88.0F));
    const v16f magic = simd_set(12582912.0F);
    const v16f shifted = simd_fma(x, simd_set(1.44269504F), magic);
    const v16f n = shifted - magic;
    v16f r = simd_fma(n, simd_set(-0.693145752F), x);
    r = simd_fma(n, simd_set(-1.42860677e-6F), r);
    v16f p = simd_set(c[6]);
    for (int k = 5; k >= 0; k--) {
        p = simd_fma(p, r, simd_set(c[k]));
    }
    return (v16f)((v16i)p + ((v16i)shifted << 23)); /* the low bits of `shifted` are n */
}

static inline v16f sigmoid(v16f x)
{
    return 1.0F / (1.0F + exponential(-x));
}

static inline v16f hyperbolic_tangent(v16f x)
{
    return 1.0F - 2.0F / (exponential(2.0F * x) + 1.0F);
}
