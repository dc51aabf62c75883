//! Mistakes in the statistics of the batch.

use super::{IN_BF16, IN_F16, IN_F32, IN_F64, Planted};

const F16: Planted = Planted { file: "statistics.cuh", ..IN_F16 };
const BF16: Planted = Planted { file: "statistics.cuh", ..IN_BF16 };
const F32: Planted = Planted { file: "statistics.cuh", ..IN_F32 };
const F64: Planted = Planted { file: "statistics.cuh", ..IN_F64 };

pub(super) const MISTAKES: &[Planted] = &[
    Planted {
        name: "statistics_without_barrier",
        about: "the first warp reads the other warps' moments before they are there",
        find: "if (lane == 0) of_warp[warp] = own;\n    __syncthreads();\n",
        replace: "if (lane == 0) of_warp[warp] = own;\n",
        kernels: &["bn_statistics_rows_f32_acc32_v1"],
        faults: &["Race", "UninitialisedMemory"],
        at: &["if (lane == 0) of_warp[warp] = own;", "own = lane < THREADS / WARP ? of_warp[lane]"],
        run: "f32 acc32 own contiguous 2x3x150 affine",
        ..F32
    },
    Planted {
        name: "statistics_barrier_in_a_branch",
        about: "only the lanes that write wait at the barrier, and the others read before anything is \
                written",
        find: "if (lane == 0) of_warp[warp] = own;\n    __syncthreads();\n",
        replace: "if (lane == 0) {\n        of_warp[warp] = own;\n        __syncthreads();\n    }\n",
        kernels: &["bn_statistics_rows_f16_acc32_v16"],
        faults: &["BarrierDivergence", "UninitialisedMemory"],
        at: &["__syncthreads();\n    }\n    if (warp == 0) {", "own = lane < THREADS / WARP ? of_warp[lane]"],
        run: "f16 acc32 own contiguous 2x3x16 affine",
        ..F16
    },
    Planted {
        name: "statistics_shuffle_in_a_branch",
        about: "eight lanes shuffle with the mask of all 32",
        find: "own = lane < THREADS / WARP ? of_warp[lane] : Moments<A>{0, 0, 0};\n        \
               own = combine_warp(own);",
        replace: "if (lane < THREADS / WARP) own = combine_warp(of_warp[lane]);",
        kernels: &["bn_statistics_rows_bf16_acc32_v1"],
        faults: &["PartialMask"],
        at: &["if (lane < THREADS / WARP) own = combine_warp(of_warp[lane]);"],
        run: "bf16 acc32 f32 contiguous 2x3x15 affine",
        ..BF16
    },
    Planted {
        name: "statistics_uninitialised_shared",
        about: "there is room for 32 warps, eight write, and 32 lanes read",
        find: "__shared__ Moments<A> of_warp[THREADS / WARP];\n    \
               u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;\n    \
               own = combine_warp(own);\n    \
               if (lane == 0) of_warp[warp] = own;\n    \
               __syncthreads();\n    \
               if (warp == 0) {\n        \
               own = lane < THREADS / WARP ? of_warp[lane] : Moments<A>{0, 0, 0};",
        replace: "__shared__ Moments<A> of_warp[WARP];\n    \
                  u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;\n    \
                  own = combine_warp(own);\n    \
                  if (lane == 0) of_warp[warp] = own;\n    \
                  __syncthreads();\n    \
                  if (warp == 0) {\n        \
                  own = of_warp[lane];",
        kernels: &["bn_statistics_rows_f32_acc32_v16"],
        faults: &["UninitialisedMemory"],
        at: &["own = of_warp[lane];"],
        run: "f32 acc32 own contiguous 2x3x16 affine",
        ..F32
    },
    Planted {
        name: "statistics_shared_past_the_end",
        about: "32 lanes read an array of eight",
        find: "own = lane < THREADS / WARP ? of_warp[lane] : Moments<A>{0, 0, 0};",
        replace: "own = of_warp[lane];",
        kernels: &["bn_statistics_rows_f64_acc64_v1"],
        faults: &["OutOfBounds"],
        at: &["own = of_warp[lane];"],
        run: "f64 acc64 own contiguous 2x3x15 affine",
        ..F64
    },
    Planted {
        name: "statistics_one_vector_too_far",
        about: "the last vector of a block is one past its last",
        find: "u64 value = first + t * STEP;\n            if (value < end) {",
        replace: "u64 value = first + t * STEP;\n            if (value <= end) {",
        kernels: &["bn_statistics_rows_bf16_acc32_v16"],
        faults: &["OutOfBounds"],
        at: &["Pack<X, V> pack = load<V>(x + (sample"],
        run: "bf16 acc32 own contiguous 2x2x1200 affine",
        ..BF16
    },
    Planted {
        name: "statistics_splits_to_one_partial",
        about: "all blocks of a channel leave their moments at the same place",
        find: "partials[channel * arguments.splits + split] = ",
        replace: "partials[channel * arguments.splits] = ",
        kernels: &["bn_statistics_rows_f32_acc32_v16"],
        faults: &["RaceBetweenBlocks"],
        at: &["partials[channel * arguments.splits] = "],
        run: "f32 acc32 own contiguous 1x2x8200 affine",
        ..F32
    },
    Planted {
        name: "statistics_last_barrier_left_out",
        about: "no barrier where the tree is within a warp, and lanes do not wait for each other",
        find: "__syncthreads();\n        if (threadIdx.y < half) {",
        replace: "if (half * blockDim.x >= WARP) __syncthreads();\n        if (threadIdx.y < half) {",
        kernels: &["bn_statistics_columns_f16_acc32_v1"],
        faults: &["Race"],
        at: &[
            "own[i] = combine(own[i], of_thread[i][thread + half * blockDim.x]);",
            "of_thread[i][thread] = own[i];\n            }",
        ],
        run: "f16 acc32 own channels_last 3x5x7 affine",
        ..F16
    },
    Planted {
        name: "statistics_tree_without_barrier",
        about: "rows of threads meet without waiting for each other",
        find: "        __syncthreads();\n        if (threadIdx.y < half) {",
        replace: "        if (threadIdx.y < half) {",
        kernels: &["bn_statistics_columns_f64_acc64_v1"],
        faults: &["Race", "UninitialisedMemory"],
        at: &[
            "of_thread[i][thread] = own[i];\n    for (",
            "own[i] = combine(own[i], of_thread[i][thread + half * blockDim.x]);",
            "of_thread[i][thread] = own[i];\n            }",
        ],
        run: "f64 acc64 own channels_last 3x5x7 affine",
        ..F64
    },
    Planted {
        name: "statistics_early_return",
        about: "threads without a channel leave before the barriers",
        find: "own[i].count = seen;\n",
        replace: "own[i].count = seen;\n    if (!has_channels) return;\n",
        kernels: &["bn_statistics_columns_f32_acc64_v1"],
        faults: &["BarrierDivergence"],
        at: &["__syncthreads();\n        if (threadIdx.y < half) {"],
        run: "f32 acc64 own channels_last 3x5x7 affine",
        ..F32
    },
    Planted {
        name: "statistics_vectors_of_wrong_stride",
        about: "neighbouring threads read vectors that begin one element apart",
        find: "arguments.x) + group * V;",
        replace: "arguments.x) + group;",
        kernels: &["bn_statistics_columns_f32_acc32_v16"],
        faults: &["Misaligned"],
        at: &["Pack<X, V> pack = load<V>(x + row * arguments.channels);"],
        run: "f32 acc32 own channels_last 3x8x5 affine",
        ..F32
    },
    Planted {
        name: "statistics_rows_past_the_end",
        about: "the last block of a channel reads as many rows as the others",
        find: "u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : \
               arguments.values;\n\n    \
               constexpr int T = TILE<V> / V;\n    \
               Moments<A> own[V];",
        replace: "u64 end = begin + arguments.chunk;\n\n    \
                  constexpr int T = TILE<V> / V;\n    \
                  Moments<A> own[V];",
        kernels: &["bn_statistics_columns_f32_acc32_v1"],
        faults: &["OutOfBounds"],
        at: &["Pack<X, V> pack = load<V>(x + row * arguments.channels);"],
        run: "f32 acc32 own channels_last 3x5x7 affine",
        ..F32
    },
    Planted {
        name: "statistics_of_channels_that_are_not_there",
        about: "threads without a channel leave their moments as well",
        find: "if (threadIdx.y == 0 && has_channels) {",
        replace: "if (threadIdx.y == 0) {",
        kernels: &["bn_statistics_columns_bf16_acc32_v1"],
        faults: &["OutOfBounds"],
        at: &[
            "partials[(group * V + i) * arguments.splits + split] =",
            "Partial<A>{own[i].sum, own[i].squares",
        ],
        run: "bf16 acc32 f32 channels_last 3x5x7 affine",
        ..BF16
    },
    Planted {
        name: "statistics_values_without_else",
        about: "the values past the end are left as they are in place of 0",
        find: "for (int i = 0; i < V; i++) values[i][t] = 0;",
        replace: "for (int i = 0; i < V; i++) values[i][t] = values[i][t];",
        kernels: &["bn_statistics_columns_bf16_acc64_v1"],
        faults: &["UninitialisedRegister"],
        at: &["Moments<A> of_tile = tile(values[i], count, weights.share_b);"],
        run: "bf16 acc64 own channels_last 3x5x7 affine",
        ..BF16
    },
];
