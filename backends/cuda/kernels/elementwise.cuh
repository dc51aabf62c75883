// Kernels that go through a large tensor once, element by element, in the order in which it lies in memory.
//
// Element i belongs to channel (i / inner) mod C, where inner is the number of places of (N, C, places), and 1 of
// channels last. So one kernel serves both, reads and writes are 16 bytes wide whatever the shape, and only the last vector
// may be a part.

#pragma once

#include "channels.cuh"
#include "statistics.cuh"

// The channel of an element, and of those after it.
struct Walk {
    u64 place;    // 0 … inner - 1
    u64 channel;  // 0 … C - 1

    __device__ inline Walk(u64 element, const Divisor& inner, const Divisor& channels) {
        u64 run = quotient(element, inner);
        place = element - run * inner.value;
        channel = run - quotient(run, channels) * channels.value;
    }

    // Goes to the next element; whether it is of another channel.
    __device__ inline bool step(const Divisor& inner, const Divisor& channels) {
        if (++place < inner.value) return false;
        place = 0;
        if (++channel == channels.value) channel = 0;
        return true;
    }
};

// How many vectors a thread has: their reads are in flight together. Of doubles fewer, as the registers would not do.
template <typename A>
constexpr int VECTORS = sizeof(A) == 4 ? 4 : 2;

struct NormaliseArguments {
    const void* x;
    void* y;
    const void* found;  // Channel<A>[C]
    u64 elements;
    Divisor inner;
    Divisor channels;
};

// Ioffe and Szegedy 2015, algorithm 1, the last two lines. The difference first, then the scale, then gamma: no product
// of gamma and x that could overflow, and no x·a + b, which loses |mean|·inverse_std roundings.
template <typename A>
__device__ inline A normalised(A x, const Channel<A>& channel) {
    return (x - channel.mean) * channel.inverse_std;
}

template <typename X, typename A>
__device__ inline X output(X x, const Channel<A>& channel) {
    return narrow<X>(normalised(widen<A>(x), channel) * channel.gamma + channel.beta);
}

// y. Each thread VECTORS vectors of 16 bytes, a block's width apart from each other; grid.x as many blocks as that takes.
template <typename X, typename A>
__device__ inline void normalise(const NormaliseArguments& arguments) {
    constexpr int V = WIDE<X>;
    constexpr u64 STEP = u64(THREADS) * V;
    const X* x = static_cast<const X*>(arguments.x);
    X* y = static_cast<X*>(arguments.y);
    const Channel<A>* found = static_cast<const Channel<A>*>(arguments.found);
    u64 first = blockIdx.x * (STEP * VECTORS<A>) + u64(threadIdx.x) * V;

    Pack<X, V> packs[VECTORS<A>];
#pragma unroll
    for (int t = 0; t < VECTORS<A>; t++) {
        u64 at = first + t * STEP;
        if (at + V <= arguments.elements) packs[t] = load<V>(x + at);
    }
#pragma unroll
    for (int t = 0; t < VECTORS<A>; t++) {
        u64 at = first + t * STEP;
        if (at >= arguments.elements) break;
        Walk walk(at, arguments.inner, arguments.channels);
        Channel<A> channel = found[walk.channel];
        if (at + V <= arguments.elements) {
#pragma unroll
            for (int i = 0; i < V; i++) {
                if (i > 0 && walk.step(arguments.inner, arguments.channels)) channel = found[walk.channel];
                packs[t].at[i] = output(packs[t].at[i], channel);
            }
            store<V>(y + at, packs[t]);
        } else {
            // The tail: fewer elements than a vector.
            for (u64 i = at; i < arguments.elements; i++) {
                if (i > at && walk.step(arguments.inner, arguments.channels)) channel = found[walk.channel];
                y[i] = output(x[i], channel);
            }
        }
    }
}

struct GradInputArguments {
    const void* x;
    const void* dy;
    void* dx;
    const void* found;   // Channel<A>[C], of the forward
    const void* slopes;  // Slope<A>[C]
    u64 elements;
    Divisor inner;
    Divisor channels;
};

// What the gradient of a channel's input is made of.
template <typename A>
struct alignas(4 * sizeof(A) < 16 ? 4 * sizeof(A) : 16) Slope {
    A mean_dy;       // Σ dy / n
    A mean_dy_xhat;  // Σ dy·x̂ / n
    A scale;         // gamma/√(var + eps)
    A unused;
};

// Ioffe and Szegedy 2015, section 3, with the sums written out: dx = gamma/√(var + eps) · (dy - mean(dy) - x̂·mean(dy·x̂)).
template <typename X, typename A>
__device__ inline X slope(X x, X dy, const Channel<A>& channel, const Slope<A>& slope) {
    A xhat = normalised(widen<A>(x), channel);
    return narrow<X>(((widen<A>(dy) - slope.mean_dy) - xhat * slope.mean_dy_xhat) * slope.scale);
}

// The gradient of the input in training, laid out as the input. Half as many vectors a thread as `normalise`, as each is
// of x and of dy.
template <typename X, typename A>
__device__ inline void grad_input(const GradInputArguments& arguments) {
    constexpr int V = WIDE<X>;
    constexpr int T = VECTORS<A> / 2;
    constexpr u64 STEP = u64(THREADS) * V;
    const X* x = static_cast<const X*>(arguments.x);
    const X* dy = static_cast<const X*>(arguments.dy);
    X* dx = static_cast<X*>(arguments.dx);
    const Channel<A>* found = static_cast<const Channel<A>*>(arguments.found);
    const Slope<A>* slopes = static_cast<const Slope<A>*>(arguments.slopes);
    u64 first = blockIdx.x * (STEP * T) + u64(threadIdx.x) * V;

    Pack<X, V> of_x[T], of_dy[T];
#pragma unroll
    for (int t = 0; t < T; t++) {
        u64 at = first + t * STEP;
        if (at + V <= arguments.elements) {
            of_x[t] = load<V>(x + at);
            of_dy[t] = load<V>(dy + at);
        }
    }
#pragma unroll
    for (int t = 0; t < T; t++) {
        u64 at = first + t * STEP;
        if (at >= arguments.elements) break;
        Walk walk(at, arguments.inner, arguments.channels);
        Channel<A> channel = found[walk.channel];
        Slope<A> of_channel = slopes[walk.channel];
        if (at + V <= arguments.elements) {
#pragma unroll
            for (int i = 0; i < V; i++) {
                if (i > 0 && walk.step(arguments.inner, arguments.channels)) {
                    channel = found[walk.channel];
                    of_channel = slopes[walk.channel];
                }
                of_x[t].at[i] = slope(of_x[t].at[i], of_dy[t].at[i], channel, of_channel);
            }
            store<V>(dx + at, of_x[t]);
        } else {
            for (u64 i = at; i < arguments.elements; i++) {
                if (i > at && walk.step(arguments.inner, arguments.channels)) {
                    channel = found[walk.channel];
                    of_channel = slopes[walk.channel];
                }
                dx[i] = slope(x[i], dy[i], channel, of_channel);
            }
        }
    }
}
