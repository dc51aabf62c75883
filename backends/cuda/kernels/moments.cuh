// Mean and variance in one reading of the data, without the cancellation of E[x²] - E[x]².
//
// A set of values is summarised by how many they are, their sum, and the sum of their squared deviations from their own
// mean. Two summaries make one of both sets (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance",
// eq. 2.1, with the means in the place of the sums):
//
//     n = n_a + n_b,   S = S_a + S_b,   M = M_a + M_b + (S_b/n_b - S_a/n_a)² · n_a·n_b/n
//
// A thread summarises a handful of values at a time in two passes over its registers (`tile`), so that each value is
// read from memory once; the summaries meet in a fixed order: in the thread, across the warp, across the block, across
// the blocks. So the result is the same on every run and every device. Sums are kept and not means: where the values add
// up exactly, so does the mean, in whatever order they meet.

#pragma once

#include "number.cuh"

// Counts are as wide as what is counted for, so that a summary has no gaps.
template <typename A>
struct Counter;
template <>
struct Counter<float> {
    typedef u32 Count;
};
template <>
struct Counter<double> {
    typedef u64 Count;
};

// What a thread, a warp and a block know.
template <typename A>
struct Moments {
    A sum;
    A squares;  // Σ (x - mean)²
    typename Counter<A>::Count count;
};

// What a block leaves for the kernel that puts blocks together.
template <typename A>
struct Partial {
    A sum;
    A squares;
    u64 count;
};

// The summary of two sets, a's values before b's. An empty one changes nothing: without that its mean would be 0/0.
template <typename A, template <typename> class Summary>
__device__ inline Summary<A> combine(const Summary<A>& a, const Summary<A>& b) {
    if (b.count == 0) return a;
    if (a.count == 0) return b;
    A n_a = A(a.count), n_b = A(b.count), n = A(a.count + b.count);
    A apart = b.sum / n_b - a.sum / n_a;
    Summary<A> both;
    both.sum = a.sum + b.sum;
    both.squares = (a.squares + b.squares) + apart * apart * (n_a * (n_b / n));
    both.count = a.count + b.count;
    return both;
}

// The summary of the first `count` of K values in registers, in two passes (Chan, Golub and LeVeque 1983, eq. 1.1). The
// others are 0, and `share` is 1/count.
template <int K, typename A>
__device__ inline Moments<A> tile(const A (&values)[K], u32 count, A share) {
    A sum = 0;
#pragma unroll
    for (int i = 0; i < K; i++) sum += values[i];
    A mean = sum * share;
    A squares = 0;
#pragma unroll
    for (int i = 0; i < K; i++) {
        A off = values[i] - mean;
        squares += u32(i) < count ? off * off : A(0);
    }
    return Moments<A>{sum, squares, count};
}

// What two summaries are weighed with where many pairs of them are of as many values: divided once for all.
template <typename A>
struct Weights {
    A share_a;  // 1/n_a
    A share_b;  // 1/n_b
    A product;  // n_a·n_b/n

    __device__ inline Weights(A n_a, A n_b) {
        share_a = A(1) / n_a;
        share_b = A(1) / n_b;
        product = n_a * (n_b / (n_a + n_b));
    }
};

// As `combine`, where neither is empty.
template <typename A>
__device__ inline Moments<A> combine(const Moments<A>& a, const Moments<A>& b, const Weights<A>& weights) {
    A apart = b.sum * weights.share_b - a.sum * weights.share_a;
    A squares = (a.squares + b.squares) + apart * apart * weights.product;
    return Moments<A>{a.sum + b.sum, squares, a.count + b.count};
}

constexpr u32 WARP = 32;
constexpr u32 EVERY_LANE = 0xffffffffu;

// Lane 0 gets the summary of the warp, lane by lane in a tree of fixed shape. All 32 lanes take part.
template <typename A, template <typename> class Summary>
__device__ inline Summary<A> combine_warp(Summary<A> own) {
#pragma unroll
    for (u32 offset = WARP / 2; offset > 0; offset /= 2) {
        Summary<A> other;
        other.sum = __shfl_down_sync(EVERY_LANE, own.sum, offset);
        other.squares = __shfl_down_sync(EVERY_LANE, own.squares, offset);
        other.count = __shfl_down_sync(EVERY_LANE, own.count, offset);
        own = combine(own, other);
    }
    return own;
}

// Sums of a gradient: Σ dy and Σ dy·x̂.
template <typename A>
struct Sums {
    A dy;
    A dy_xhat;
};

template <typename A>
__device__ inline Sums<A> operator+(const Sums<A>& a, const Sums<A>& b) {
    return Sums<A>{a.dy + b.dy, a.dy_xhat + b.dy_xhat};
}

// Lane 0 gets the sums of the warp. All 32 lanes take part.
template <typename A>
__device__ inline Sums<A> add_warp(Sums<A> own) {
#pragma unroll
    for (u32 offset = WARP / 2; offset > 0; offset /= 2) {
        Sums<A> other = {__shfl_down_sync(EVERY_LANE, own.dy, offset),
                         __shfl_down_sync(EVERY_LANE, own.dy_xhat, offset)};
        own = own + other;
    }
    return own;
}
