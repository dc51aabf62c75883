// Reductions of the backward: Σ dy and Σ dy·x̂ of each channel.

#pragma once

#include "elementwise.cuh"

struct GradientSumsArguments {
    const void* x;
    const void* dy;
    const void* found;  // Channel<A>[channels], of the forward
    void* partials;     // Sums<A>[channels][splits]
    void* dx;           // in evaluation the gradient of the input, else null
    u64 channels;
    u64 values;
    u64 chunk;
    u32 splits;
    u32 unused;
    Divisor places;
};

// How many values of x, and of dy, a thread holds at once.
template <int V>
constexpr int GRADIENT_TILE = V == 1 ? 4 : 8;

// In evaluation the gradient of the input depends on no sum, as statistics that are given do not depend on x:
// dx = dy·gamma/√(var + eps). So it is written in the same pass, which reads x and dy and writes dx.
//
// Blocks, threads and vectors as in `statistics_rows`.
template <typename X, typename A, int V>
__device__ inline void gradient_sums_rows(const GradientSumsArguments& arguments) {
    u64 channel = blockIdx.x / arguments.splits;
    u32 split = blockIdx.x % arguments.splits;
    const X* x = static_cast<const X*>(arguments.x);
    const X* dy = static_cast<const X*>(arguments.dy);
    X* dx = static_cast<X*>(arguments.dx);
    u64 begin = split * arguments.chunk;
    u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : arguments.values;
    Channel<A> found = static_cast<const Channel<A>*>(arguments.found)[channel];
    A scale = found.gamma * found.inverse_std;

    constexpr int T = GRADIENT_TILE<V> / V;
    constexpr u64 STEP = u64(THREADS) * V;
    Sums<A> own = {0, 0};
    for (u64 first = begin + u64(threadIdx.x) * V; first < end; first += STEP * T) {
        Pack<X, V> of_x[T], of_dy[T];
        u64 at[T];
#pragma unroll
        for (int t = 0; t < T; t++) {
            u64 value = first + t * STEP;
            if (value < end) {
                u64 sample = quotient(value, arguments.places);
                u64 place = value - sample * arguments.places.value;
                at[t] = (sample * arguments.channels + channel) * arguments.places.value + place;
                of_x[t] = load<V>(x + at[t]);
                of_dy[t] = load<V>(dy + at[t]);
            }
        }
        Sums<A> of_tile = {0, 0};
#pragma unroll
        for (int t = 0; t < T; t++) {
            if (first + t * STEP >= end) break;
            Pack<X, V> gradient;
#pragma unroll
            for (int i = 0; i < V; i++) {
                A of_y = widen<A>(of_dy[t].at[i]);
                of_tile = of_tile + Sums<A>{of_y, of_y * normalised(widen<A>(of_x[t].at[i]), found)};
                gradient.at[i] = narrow<X>(of_y * scale);
            }
            if (dx) store<V>(dx + at[t], gradient);
        }
        own = own + of_tile;
    }

    __shared__ Sums<A> of_warp[THREADS / WARP];
    u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    own = add_warp(own);
    if (lane == 0) of_warp[warp] = own;
    __syncthreads();
    if (warp == 0) {
        own = lane < THREADS / WARP ? of_warp[lane] : Sums<A>{0, 0};
        own = add_warp(own);
        if (lane == 0) static_cast<Sums<A>*>(arguments.partials)[channel * arguments.splits + split] = own;
    }
}

// Blocks, threads and vectors as in `statistics_columns`.
template <typename X, typename A, int V>
__device__ inline void gradient_sums_columns(const GradientSumsArguments& arguments) {
    u64 groups = arguments.channels / V;
    u64 columns = (groups + blockDim.x - 1) / blockDim.x;
    u64 group = (blockIdx.x % columns) * blockDim.x + threadIdx.x;
    u32 split = u32(blockIdx.x / columns);
    bool has_channels = group < groups;
    const X* x = static_cast<const X*>(arguments.x);
    const X* dy = static_cast<const X*>(arguments.dy);
    X* dx = static_cast<X*>(arguments.dx);
    u64 begin = split * arguments.chunk;
    u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : arguments.values;

    Sums<A> own[V];
    Channel<A> found[V];
#pragma unroll
    for (int i = 0; i < V; i++) {
        own[i] = Sums<A>{0, 0};
        if (has_channels) found[i] = static_cast<const Channel<A>*>(arguments.found)[group * V + i];
    }
    for (u64 row = begin + threadIdx.y; row < end && has_channels; row += blockDim.y) {
        u64 at = row * arguments.channels + group * V;
        Pack<X, V> of_x = load<V>(x + at), of_dy = load<V>(dy + at), gradient;
#pragma unroll
        for (int i = 0; i < V; i++) {
            A of_y = widen<A>(of_dy.at[i]);
            own[i] = own[i] + Sums<A>{of_y, of_y * normalised(widen<A>(of_x.at[i]), found[i])};
            gradient.at[i] = narrow<X>(of_y * (found[i].gamma * found[i].inverse_std));
        }
        if (dx) store<V>(dx + at, gradient);
    }

    __shared__ Sums<A> of_thread[V][THREADS];
    u32 thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int i = 0; i < V; i++) of_thread[i][thread] = own[i];
    for (u32 half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
#pragma unroll
            for (int i = 0; i < V; i++) {
                own[i] = own[i] + of_thread[i][thread + half * blockDim.x];
                of_thread[i][thread] = own[i];
            }
        }
    }
    if (threadIdx.y == 0 && has_channels) {
#pragma unroll
        for (int i = 0; i < V; i++) {
            static_cast<Sums<A>*>(arguments.partials)[(group * V + i) * arguments.splits + split] = own[i];
        }
    }
}

struct GradientChannelsArguments {
    const void* partials;  // Sums<A>[channels][splits]
    const void* found;     // Channel<A>[channels], of the forward
    void* grad_weight;     // P[channels]; null: not wanted
    void* grad_bias;       // P[channels]; null: not wanted
    void* slopes;          // Slope<A>[channels]; null: not wanted, or evaluation
    u64 channels;
    u64 values;            // n
    u32 splits;
    u32 unused;
};

// The gradients of weight and bias, and what that of the input is made of. A warp has a channel, as in `channels_train`.
template <typename P, typename A>
__device__ inline void gradient_channels(const GradientChannelsArguments& arguments) {
    u64 channel = u64(blockIdx.x) * (CHANNEL_THREADS / WARP) + threadIdx.x / WARP;
    u32 lane = threadIdx.x % WARP;
    if (channel >= arguments.channels) return;
    const Sums<A>* partials = static_cast<const Sums<A>*>(arguments.partials) + channel * arguments.splits;
    Sums<A> all = {0, 0};
    for (u32 split = lane; split < arguments.splits; split += WARP) all = all + partials[split];
    all = add_warp(all);
    if (lane != 0) return;

    // Ioffe and Szegedy 2015, section 3: dbeta = Σ dy, dgamma = Σ dy·x̂.
    if (arguments.grad_bias) static_cast<P*>(arguments.grad_bias)[channel] = narrow<P>(all.dy);
    if (arguments.grad_weight) static_cast<P*>(arguments.grad_weight)[channel] = narrow<P>(all.dy_xhat);
    if (arguments.slopes) {
        Channel<A> found = static_cast<const Channel<A>*>(arguments.found)[channel];
        A n = A(arguments.values);
        static_cast<Slope<A>*>(arguments.slopes)[channel] =
            Slope<A>{all.dy / n, all.dy_xhat / n, found.gamma * found.inverse_std, 0};
    }
}
