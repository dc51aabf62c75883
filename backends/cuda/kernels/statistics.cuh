// Reductions of the forward: the statistics of each channel.

#pragma once

#include "moments.cuh"

// A block has 256 threads: eight warps, of which an SM of any architecture holds enough to hide the latency of memory.
constexpr u32 THREADS = 256;

// How many values a thread holds at once: 16 of wide reads, which are in flight together, and 8 of narrow ones.
template <int V>
constexpr int TILE = V == 1 ? 8 : 16;

// What `statistics` is asked. Values of a channel are numbered 0 … values - 1, sample by sample.
struct StatisticsArguments {
    const void* x;
    void* partials;   // Partial<A>[channels][splits]
    u64 channels;     // C
    u64 values;       // n = samples · places
    u64 chunk;        // values of a channel that one block reads, a multiple of what it reads at once
    u32 splits;       // blocks to a channel
    u32 unused;
    Divisor places;   // values of a channel that lie side by side (N, C, places); not used of columns
};

// (N, C, places): the values of a channel lie in runs of `places`. One block a chunk of a channel; grid.x counts
// channels · splits. Neighbouring threads read neighbouring vectors of V, so that a warp reads 512 bytes at once.
// V is 16 bytes where a run is a whole number of them, as then no vector crosses a run and all are aligned; else 1.
template <typename X, typename A, int V>
__device__ inline void statistics_rows(const StatisticsArguments& arguments) {
    u64 channel = blockIdx.x / arguments.splits;
    u32 split = blockIdx.x % arguments.splits;
    const X* x = static_cast<const X*>(arguments.x);
    u64 begin = split * arguments.chunk;
    u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : arguments.values;

    constexpr int T = TILE<V> / V;
    constexpr u64 STEP = u64(THREADS) * V;
    Moments<A> own = {0, 0, 0};
    for (u64 first = begin + u64(threadIdx.x) * V; first < end; first += STEP * T) {
        A values[T * V];
        u32 count = 0;
#pragma unroll
        for (int t = 0; t < T; t++) {
            u64 value = first + t * STEP;
            if (value < end) {
                u64 sample = quotient(value, arguments.places);
                u64 place = value - sample * arguments.places.value;
                Pack<X, V> pack = load<V>(x + (sample * arguments.channels + channel) * arguments.places.value + place);
#pragma unroll
                for (int i = 0; i < V; i++) values[t * V + i] = widen<A>(pack.at[i]);
                count += V;
            } else {
#pragma unroll
                for (int i = 0; i < V; i++) values[t * V + i] = 0;
            }
        }
        own = combine(own, tile(values, count, A(1) / A(count)));
    }

    __shared__ Moments<A> of_warp[THREADS / WARP];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    own = combine_warp(own);
    if (lane == 0) of_warp[warp] = own;
    __syncthreads();
    if (warp == 0) {
        own = lane < THREADS / WARP ? of_warp[lane] : Moments<A>{0, 0, 0};
        own = combine_warp(own);
        if (lane == 0) {
            Partial<A>* partials = static_cast<Partial<A>*>(arguments.partials);
            partials[channel * arguments.splits + split] = Partial<A>{own.sum, own.squares, own.count};
        }
    }
}

// (values, C): channels lie side by side, and a thread has V of them. Threads in x take neighbouring channels, threads in
// y every blockDim.y-th row of the block's chunk of rows; grid.x counts splits · (columns of blocks). The host makes the
// block as wide as there are channels for, 32 threads at most, and as high as 256 threads make it. V is 16 bytes where C
// is a whole number of them, as then all vectors are aligned; else 1.
template <typename X, typename A, int V>
__device__ inline void statistics_columns(const StatisticsArguments& arguments) {
    u64 groups = arguments.channels / V;
    u64 columns = (groups + blockDim.x - 1) / blockDim.x;
    u64 group = (blockIdx.x % columns) * blockDim.x + threadIdx.x;
    u32 split = u32(blockIdx.x / columns);
    bool has_channels = group < groups;
    const X* x = static_cast<const X*>(arguments.x) + group * V;
    u64 begin = split * arguments.chunk;
    u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : arguments.values;

    constexpr int T = TILE<V> / V;
    Moments<A> own[V];
    typename Counter<A>::Count seen = 0;  // of each channel as many
#pragma unroll
    for (int i = 0; i < V; i++) own[i] = Moments<A>{0, 0, 0};
    for (u64 first = begin + threadIdx.y; first < end && has_channels; first += u64(blockDim.y) * T) {
        A values[V][T];
        u32 count = 0;
#pragma unroll
        for (int t = 0; t < T; t++) {
            u64 row = first + t * u64(blockDim.y);
            if (row < end) {
                Pack<X, V> pack = load<V>(x + row * arguments.channels);
#pragma unroll
                for (int i = 0; i < V; i++) values[i][t] = widen<A>(pack.at[i]);
                count++;
            } else {
#pragma unroll
                for (int i = 0; i < V; i++) values[i][t] = 0;
            }
        }
        // The channels of a thread have seen as many values each, so that they share the divisions.
        Weights<A> weights{A(seen), A(count)};
#pragma unroll
        for (int i = 0; i < V; i++) {
            Moments<A> of_tile = tile(values[i], count, weights.share_b);
            own[i] = seen == 0 ? of_tile : combine(own[i], of_tile, weights);
        }
        seen += count;
    }
#pragma unroll
    for (int i = 0; i < V; i++) own[i].count = seen;

    // Rows of threads meet in halves: y and y + half, until one row is left.
    __shared__ Moments<A> of_thread[V][THREADS];
    u32 thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int i = 0; i < V; i++) of_thread[i][thread] = own[i];
    for (u32 half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
#pragma unroll
            for (int i = 0; i < V; i++) {
                own[i] = combine(own[i], of_thread[i][thread + half * blockDim.x]);
                of_thread[i][thread] = own[i];
            }
        }
    }
    if (threadIdx.y == 0 && has_channels) {
        Partial<A>* partials = static_cast<Partial<A>*>(arguments.partials);
#pragma unroll
        for (int i = 0; i < V; i++) {
            partials[(group * V + i) * arguments.splits + split] =
                Partial<A>{own[i].sum, own[i].squares, own[i].count};
        }
    }
}
