// A tensor that lies anywhere in memory, brought into an order that the other kernels read: a slice, an expanded gradient,
// another permutation.

#pragma once

#include "number.cuh"

// No input has more dimensions; those that it has not are of size 1 and stride 0.
constexpr int RANK = 8;

struct RelayoutArguments {
    const void* from;       // the element at position 0, 0, …
    void* to;               // without gaps, the last dimension fastest
    u64 elements;
    Divisor sizes[RANK];    // in the order of `to`
    u64 strides[RANK];      // of `from`, in elements
};

// A thread has an element; grid.x as many blocks of 256 as that takes. Bits are copied, of whatever type.
template <typename Bits>
__device__ inline void relayout(const RelayoutArguments& arguments) {
    u64 element = u64(blockIdx.x) * 256 + threadIdx.x;
    if (element >= arguments.elements) return;
    u64 rest = element, offset = 0;
#pragma unroll
    for (int d = RANK - 1; d >= 0; d--) {
        u64 next = quotient(rest, arguments.sizes[d]);
        offset += (rest - next * arguments.sizes[d].value) * arguments.strides[d];
        rest = next;
    }
    static_cast<Bits*>(arguments.to)[element] = static_cast<const Bits*>(arguments.from)[offset];
}
