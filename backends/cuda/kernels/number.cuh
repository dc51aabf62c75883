// Numbers: how they are stored, what they are computed in, and how one becomes the other.
//
// X is the type that a tensor is stored in: F16, BF16, float or double. A is the type that is computed in, the
// accumulator: float, or double. Every X is an A exactly (`widen`), and an A is rounded to an X once, to the nearest, ties
// to even (`narrow`). Nothing is rounded to storage on the way.

#pragma once

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// IEEE 754 binary16, by its bits.
struct F16 {
    u16 bits;
};

// bfloat16: the upper half of a float, by its bits.
struct BF16 {
    u16 bits;
};

// What only a GPU has words for. A C++ compiler, for which the same source is a test of the PTX, brings its own.
#ifndef BN_INTRINSICS
#include "intrinsics.cuh"
#endif

template <typename A, typename X>
__device__ inline A widen(X x) {
    return A(x);
}
template <>
__device__ inline float widen<float, F16>(F16 x) {
    return float_of_half(x.bits);
}
template <>
__device__ inline double widen<double, F16>(F16 x) {
    return double(float_of_half(x.bits));
}
template <>
__device__ inline float widen<float, BF16>(BF16 x) {
    return __uint_as_float(u32(x.bits) << 16);
}
template <>
__device__ inline double widen<double, BF16>(BF16 x) {
    return double(__uint_as_float(u32(x.bits) << 16));
}

// A float as bfloat16: what is cut off is added half a unit of first, and a unit less than half where the last bit that
// stays is even. A carry goes into the exponent, as it should. NaN stays NaN.
__device__ inline BF16 bf16_of_float(float a) {
    u32 bits = __float_as_uint(a);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return BF16{0x7fff};
    return BF16{u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// A double as a float, rounded to odd: towards zero, and where that is not exact the last bit is set. What is rounded
// once more, to a type of at least two bits fewer, is then rounded as if once (Boldo and Melquiond 2008).
__device__ inline float round_to_odd(double a) {
    float cut = __double2float_rz(a);
    // A NaN equals nothing, and with one bit more it is still a NaN.
    return double(cut) == a ? cut : __uint_as_float(__float_as_uint(cut) | 1u);
}

template <typename X, typename A>
__device__ inline X narrow(A a) {
    return X(a);
}
template <>
__device__ inline F16 narrow<F16, float>(float a) {
    return F16{half_of_float(a)};
}
template <>
__device__ inline F16 narrow<F16, double>(double a) {
    return F16{half_of_float(round_to_odd(a))};
}
template <>
__device__ inline BF16 narrow<BF16, float>(float a) {
    return bf16_of_float(a);
}
template <>
__device__ inline BF16 narrow<BF16, double>(double a) {
    return bf16_of_float(round_to_odd(a));
}

// V numbers that lie side by side, read and written at once where they are 16 bytes, which is the widest that a thread
// can; V is 1 otherwise.
template <typename X, int V>
struct Pack {
    X at[V];
};

// How many numbers are 16 bytes.
template <typename X>
constexpr int WIDE = int(16 / sizeof(X));

__device__ inline void unpack(const uint4& words, Pack<float, 4>& pack) {
    pack.at[0] = __uint_as_float(words.x);
    pack.at[1] = __uint_as_float(words.y);
    pack.at[2] = __uint_as_float(words.z);
    pack.at[3] = __uint_as_float(words.w);
}
__device__ inline void unpack(const uint4& words, Pack<double, 2>& pack) {
    pack.at[0] = __hiloint2double(int(words.y), int(words.x));
    pack.at[1] = __hiloint2double(int(words.w), int(words.z));
}
template <typename Half>
__device__ inline void unpack(const uint4& words, Pack<Half, 8>& pack) {
    const u32 word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        pack.at[2 * i].bits = u16(word[i] & 0xffffu);
        pack.at[2 * i + 1].bits = u16(word[i] >> 16);
    }
}

__device__ inline uint4 packed(const Pack<float, 4>& pack) {
    return make_uint4(__float_as_uint(pack.at[0]), __float_as_uint(pack.at[1]), __float_as_uint(pack.at[2]),
                      __float_as_uint(pack.at[3]));
}
__device__ inline uint4 packed(const Pack<double, 2>& pack) {
    return make_uint4(u32(__double2loint(pack.at[0])), u32(__double2hiint(pack.at[0])),
                      u32(__double2loint(pack.at[1])), u32(__double2hiint(pack.at[1])));
}
template <typename Half>
__device__ inline uint4 packed(const Pack<Half, 8>& pack) {
    u32 word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) word[i] = u32(pack.at[2 * i].bits) | (u32(pack.at[2 * i + 1].bits) << 16);
    return make_uint4(word[0], word[1], word[2], word[3]);
}

// Reads V numbers. Of 16 bytes the address has to be a multiple of 16.
template <int V, typename X>
__device__ inline Pack<X, V> load(const X* from) {
    Pack<X, V> pack;
    if constexpr (V == 1) {
        pack.at[0] = *from;
    } else {
        unpack(load_16_bytes(from), pack);
    }
    return pack;
}

// Writes V numbers, likewise.
template <int V, typename X>
__device__ inline void store(X* to, const Pack<X, V>& pack) {
    if constexpr (V == 1) {
        *to = pack.at[0];
    } else {
        store_16_bytes(to, packed(pack));
    }
}

// A number to divide by again and again, with its reciprocal: a product instead of a division, which a GPU takes more than
// a hundred instructions for.
struct Divisor {
    u64 value;
    u64 reciprocal;  // floor((2^64 - 1) / value)
};

// floor(number / by), for numbers below 2^63. number·(2^64/value - reciprocal)/2^64 < 1, so the product is right or one too
// small (Granlund and Montgomery 1994, section 4).
__device__ inline u64 quotient(u64 number, const Divisor& by) {
    u64 estimate = __umul64hi(number, by.reciprocal);
    return number - estimate * by.value >= by.value ? estimate + 1 : estimate;
}
