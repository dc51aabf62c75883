// Small kernels between reading and writing the large tensors: what each channel is normalised with.
//
// P is the type that parameters and running statistics are stored in: X itself, or float beside an X of 16 bits.

#pragma once

#include "moments.cuh"

// What a channel is normalised with. Of floats 16 bytes, so that one read brings all of it.
template <typename A>
struct alignas(4 * sizeof(A) < 16 ? 4 * sizeof(A) : 16) Channel {
    A mean;
    A inverse_std;  // 1/√(var + eps)
    A gamma;
    A beta;
};

// What `channels_train` and `channels_evaluate` are asked. A pointer to what there is not is null.
struct ChannelsArguments {
    const void* partials;      // Partial<A>[channels][splits]; in evaluation null
    const void* weight;        // P[channels], gamma; null: 1
    const void* bias;          // P[channels], beta; null: 0
    const void* running_mean;  // P[channels]; null: not tracked
    const void* running_var;
    void* new_mean;            // P[channels], where the running statistics go; may be where they come from
    void* new_var;
    void* found;               // Channel<A>[channels]
    u64 channels;
    double momentum;           // the weight of the new batch
    double eps;
    u32 splits;
    u32 unused;
};

// Four warps a block; a warp has a channel.
constexpr u32 CHANNEL_THREADS = 128;

template <typename P, typename A>
__device__ inline Channel<A> channel_of(const ChannelsArguments& arguments, u64 channel, A mean, A var) {
    const P* weight = static_cast<const P*>(arguments.weight);
    const P* bias = static_cast<const P*>(arguments.bias);
    Channel<A> found;
    found.mean = mean;
    // Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1: eps stands inside the root.
    found.inverse_std = A(1) / square_root(var + A(arguments.eps));
    found.gamma = weight ? widen<A>(weight[channel]) : A(1);
    found.beta = bias ? widen<A>(bias[channel]) : A(0);
    return found;
}

// The statistics of the batch, and the running ones moved. The lanes of a channel's warp take every 32nd block's summary,
// first to last, and meet in a tree: an order that no device changes. Blocks of one channel are few (1,024 at most), so
// this kernel reads little; it is a kernel of its own because blocks cannot wait for each other.
template <typename P, typename A>
__device__ inline void channels_train(const ChannelsArguments& arguments) {
    u64 channel = u64(blockIdx.x) * (CHANNEL_THREADS / WARP) + threadIdx.x / WARP;
    u32 lane = threadIdx.x % WARP;
    // A whole warp leaves, or none of its lanes.
    if (channel >= arguments.channels) return;
    const Partial<A>* partials = static_cast<const Partial<A>*>(arguments.partials) + channel * arguments.splits;
    Partial<A> all = {0, 0, 0};
    for (u32 split = lane; split < arguments.splits; split += WARP) all = combine(all, partials[split]);
    all = combine_warp(all);
    if (lane != 0) return;

    A n = A(all.count);
    A mean = all.sum / n;
    // Biased: what is normalised with (algorithm 1, third line).
    static_cast<Channel<A>*>(arguments.found)[channel] = channel_of<P, A>(arguments, channel, mean, all.squares / n);
    if (arguments.running_mean) {
        const P* running_mean = static_cast<const P*>(arguments.running_mean);
        const P* running_var = static_cast<const P*>(arguments.running_var);
        A m = A(arguments.momentum), kept = A(1) - m;
        // PyTorch, aten/src/ATen/native/Normalization.cpp: new = (1 - m)·old + m·batch, of the unbiased variance
        // (Bessel). Of one value a channel that is 0/0, NaN; the layer refuses such a batch before it gets here.
        A unbiased = all.squares / A(all.count - 1);
        A new_mean = kept * widen<A>(running_mean[channel]) + m * mean;
        A new_var = kept * widen<A>(running_var[channel]) + m * unbiased;
        static_cast<P*>(arguments.new_mean)[channel] = narrow<P>(new_mean);
        static_cast<P*>(arguments.new_var)[channel] = narrow<P>(new_var);
    }
}

// The running statistics. A thread has a channel.
template <typename P, typename A>
__device__ inline void channels_evaluate(const ChannelsArguments& arguments) {
    u64 channel = u64(blockIdx.x) * CHANNEL_THREADS + threadIdx.x;
    if (channel >= arguments.channels) return;
    A mean = widen<A>(static_cast<const P*>(arguments.running_mean)[channel]);
    A var = widen<A>(static_cast<const P*>(arguments.running_var)[channel]);
    static_cast<Channel<A>*>(arguments.found)[channel] = channel_of<P, A>(arguments, channel, mean, var);
}
