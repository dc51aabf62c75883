// Batch normalization on a GPU: the reference kernel of bncheck.
//
// It is written to be read and to be right: one rounding an operation, IEEE division and root, no atomics, the same bits on
// every run and every device. And it is near what memory allows: every kernel reads 16 bytes at a time where the shape
// lets it, and no tensor is read more often than it must be. Bytes moved per element, of size b:
//
//     forward, training     statistics reads x, normalise reads x and writes y            3 b
//     forward, evaluation   normalise reads x and writes y                                2 b
//     backward, training    gradient_sums reads x and dy, grad_input both and writes dx   5 b
//     backward, evaluation  gradient_sums reads x and dy and writes dx                    3 b
//
// A forward in training is three launches, statistics → channels_train → normalise; in evaluation two,
// channels_evaluate → normalise. A backward is gradient_sums → gradient_channels, and in training → grad_input.
//
// It is compiled once for each type that tensors are stored in (BN_STORAGE: f16, bf16, f32, f64), without contraction of
// products and sums (--fmad=false). Within, a kernel's name says the rest:
//
//     bn_statistics_rows_f16_acc32_v16    type of x, type that is computed in, bytes of a read (v1: an element)
//     bn_channels_train_f16_acc32_f32     type of x, type that is computed in, type of parameters (own: that of x)
//
// "rows" is (N, C, places), PyTorch's contiguous; "columns" is channels last. 64-bit indices throughout.

#include "statistics.cuh"
#include "channels.cuh"
#include "elementwise.cuh"
#include "gradient.cuh"
#include "relayout.cuh"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

typedef F16 storage_f16;
typedef BF16 storage_bf16;
typedef float storage_f32;
typedef double storage_f64;
typedef JOIN(storage_, BN_STORAGE) X;

#define SIZE_f16 2
#define SIZE_bf16 2
#define SIZE_f32 4
#define SIZE_f64 8
#define SIZE JOIN(SIZE_, BN_STORAGE)

// bn_NAME_STORAGE_REST
#define NAMED__(name, storage, rest) bn_##name##_##storage##_##rest
#define NAMED_(name, storage, rest) NAMED__(name, storage, rest)
#define NAMED(name, rest) NAMED_(name, BN_STORAGE, rest)

#define REDUCTIONS(acc, A, width, V)                                                                                  \
    KERNEL(NAMED(statistics_rows, acc##_##width), StatisticsArguments, THREADS) {                                     \
        statistics_rows<X, A, V>(arguments);                                                                          \
    }                                                                                                                 \
    KERNEL(NAMED(statistics_columns, acc##_##width), StatisticsArguments, THREADS) {                                  \
        statistics_columns<X, A, V>(arguments);                                                                       \
    }                                                                                                                 \
    KERNEL(NAMED(gradient_sums_rows, acc##_##width), GradientSumsArguments, THREADS) {                                \
        gradient_sums_rows<X, A, V>(arguments);                                                                       \
    }                                                                                                                 \
    KERNEL(NAMED(gradient_sums_columns, acc##_##width), GradientSumsArguments, THREADS) {                             \
        gradient_sums_columns<X, A, V>(arguments);                                                                    \
    }

#define CHANNELS(acc, A, parameters, P)                                                                               \
    KERNEL(NAMED(channels_train, acc##_##parameters), ChannelsArguments, CHANNEL_THREADS) {                           \
        channels_train<P, A>(arguments);                                                                              \
    }                                                                                                                 \
    KERNEL(NAMED(channels_evaluate, acc##_##parameters), ChannelsArguments, CHANNEL_THREADS) {                        \
        channels_evaluate<P, A>(arguments);                                                                           \
    }                                                                                                                 \
    KERNEL(NAMED(gradient_channels, acc##_##parameters), GradientChannelsArguments, CHANNEL_THREADS) {                \
        gradient_channels<P, A>(arguments);                                                                           \
    }

#define ELEMENTWISE(acc, A)                                                                                           \
    KERNEL(NAMED(normalise, acc), NormaliseArguments, THREADS) { normalise<X, A>(arguments); }                        \
    KERNEL(NAMED(grad_input, acc), GradInputArguments, THREADS) { grad_input<X, A>(arguments); }

// Everything that is computed in A. Parameters and statistics are of the type of x, or of f32 beside one of 16 bits.
#if SIZE == 2
#define COMPUTED_IN(acc, A)              \
    REDUCTIONS(acc, A, v16, WIDE<X>)     \
    REDUCTIONS(acc, A, v1, 1)            \
    CHANNELS(acc, A, own, X)             \
    CHANNELS(acc, A, f32, float)         \
    ELEMENTWISE(acc, A)
#else
#define COMPUTED_IN(acc, A)              \
    REDUCTIONS(acc, A, v16, WIDE<X>)     \
    REDUCTIONS(acc, A, v1, 1)            \
    CHANNELS(acc, A, own, X)             \
    ELEMENTWISE(acc, A)
#endif

// f64 is computed in f64 only.
#if SIZE < 8
COMPUTED_IN(acc32, float)
#endif
COMPUTED_IN(acc64, double)

#if SIZE == 2
KERNEL(NAMED(relayout, bits), RelayoutArguments, THREADS) { relayout<u16>(arguments); }
#elif SIZE == 4
KERNEL(NAMED(relayout, bits), RelayoutArguments, THREADS) { relayout<u32>(arguments); }
#else
KERNEL(NAMED(relayout, bits), RelayoutArguments, THREADS) { relayout<u64>(arguments); }
#endif
