// What only a GPU has words for.

#pragma once

__device__ inline float float_of_half(u16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ inline u16 half_of_float(float value) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// 16 bytes at once, as one instruction: words of the language the compiler takes apart where it finds use for a piece.
__device__ inline uint4 load_16_bytes(const void* from) {
    uint4 words;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                 : "l"(__cvta_generic_to_global(from)));
    return words;
}

__device__ inline void store_16_bytes(void* to, const uint4& words) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
                 :
                 : "l"(__cvta_generic_to_global(to)), "r"(words.x), "r"(words.y), "r"(words.z), "r"(words.w)
                 : "memory");
}

// The IEEE root: never the approximate one.
__device__ inline float square_root(float value) { return __fsqrt_rn(value); }
__device__ inline double square_root(double value) { return __dsqrt_rn(value); }

// A kernel takes one structure, by value. An SM has room for two of its blocks at least, which limits a thread to 128
// registers.
#define KERNEL(name, Arguments, threads) \
    extern "C" __global__ void __launch_bounds__(threads, 2) name(const Arguments arguments)
