//! Mistakes in the sums of the backward and what is made of them.

use super::{IN_BF16, IN_F16, IN_F32, IN_F64, Planted};

const F16: Planted = Planted { file: "gradient.cuh", ..IN_F16 };
const BF16: Planted = Planted { file: "gradient.cuh", ..IN_BF16 };
const F32: Planted = Planted { file: "gradient.cuh", ..IN_F32 };
const F64: Planted = Planted { file: "gradient.cuh", ..IN_F64 };

pub(super) const MISTAKES: &[Planted] = &[
    Planted {
        name: "gradient_wrong_stride",
        about: "from one sample to the next as many elements as values, in place of channels",
        find: "at[t] = (sample * arguments.channels + channel) * arguments.places.value + place;",
        replace: "at[t] = (sample * arguments.values + channel) * arguments.places.value + place;",
        kernels: &["bn_gradient_sums_rows_f16_acc32_v16"],
        faults: &["OutOfBounds"],
        at: &["of_x[t] = load<V>(x + at[t]);"],
        run: "f16 acc32 own contiguous 2x3x16 affine",
        ..F16
    },
    Planted {
        name: "gradient_threads_of_wrong_stride",
        about: "neighbouring threads begin one element apart and read vectors",
        find: "for (u64 first = begin + u64(threadIdx.x) * V; first < end; first += STEP * T) {",
        replace: "for (u64 first = begin + threadIdx.x; first < end; first += STEP * T) {",
        kernels: &["bn_gradient_sums_rows_f32_acc32_v16"],
        faults: &["Misaligned"],
        at: &["of_x[t] = load<V>(x + at[t]);"],
        run: "f32 acc32 own contiguous 2x3x16 affine",
        ..F32
    },
    Planted {
        name: "gradient_block_reads_another",
        about: "a block adds the sums of the block before it, which need not have run",
        find: "if (lane == 0) static_cast<Sums<A>*>(arguments.partials)[channel * arguments.splits + \
               split] = own;",
        replace: "Sums<A>* partials = static_cast<Sums<A>*>(arguments.partials) + channel * \
                  arguments.splits;\n        \
                  if (lane == 0 && split > 0) own = own + partials[split - 1];\n        \
                  if (lane == 0) partials[split] = own;",
        kernels: &["bn_gradient_sums_rows_f32_acc32_v16"],
        faults: &["RaceBetweenBlocks"],
        at: &["own = own + partials[split - 1];"],
        run: "f32 acc32 own contiguous 1x2x8200 affine",
        ..F32
    },
    Planted {
        name: "gradient_split_without_channel",
        about: "the blocks of all channels leave their sums at the same place",
        find: "arguments.partials)[channel * arguments.splits + split] = own;",
        replace: "arguments.partials)[split] = own;",
        kernels: &["bn_gradient_sums_rows_bf16_acc32_v16"],
        faults: &["RaceBetweenBlocks"],
        at: &["arguments.partials)[split] = own;"],
        run: "bf16 acc32 own contiguous 2x3x16 affine",
        ..BF16
    },
    Planted {
        name: "gradient_stale_shared",
        about: "the second sum overwrites the first in shared memory while it is still read",
        find: "__shared__ Sums<A> of_warp[THREADS / WARP];\n    \
               u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;\n    \
               own = add_warp(own);\n    \
               if (lane == 0) of_warp[warp] = own;\n    \
               __syncthreads();\n    \
               if (warp == 0) {\n        \
               own = lane < THREADS / WARP ? of_warp[lane] : Sums<A>{0, 0};",
        replace: "__shared__ A of_warp[THREADS / WARP];\n    \
                  u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;\n    \
                  own = add_warp(own);\n    \
                  if (lane == 0) of_warp[warp] = own.dy;\n    \
                  __syncthreads();\n    \
                  A of_block = lane < THREADS / WARP ? of_warp[lane] : A(0);\n    \
                  if (lane == 0) of_warp[warp] = own.dy_xhat;\n    \
                  __syncthreads();\n    \
                  if (warp == 0) {\n        \
                  own = lane < THREADS / WARP ? Sums<A>{of_block, of_warp[lane]} : Sums<A>{0, 0};",
        kernels: &["bn_gradient_sums_rows_f64_acc64_v16"],
        faults: &["Race"],
        at: &[
            "A of_block = lane < THREADS / WARP ? of_warp[lane] : A(0);",
            "if (lane == 0) of_warp[warp] = own.dy_xhat;",
        ],
        run: "f64 acc64 own contiguous 2x3x16 affine",
        ..F64
    },
    Planted {
        name: "gradient_barrier_of_one_lane",
        about: "one lane waits at a barrier before it writes the block's sums, when all others are done",
        find: "if (lane == 0) static_cast<Sums<A>*>(arguments.partials)[channel * arguments.splits + \
               split] = own;",
        replace: "if (lane == 0) {\n            \
                  __syncthreads();\n            \
                  static_cast<Sums<A>*>(arguments.partials)[channel * arguments.splits + split] = \
                  own;\n        \
                  }",
        kernels: &["bn_gradient_sums_rows_f16_acc32_v16"],
        faults: &["BarrierDivergence"],
        at: &["__syncthreads();\n            static_cast<Sums<A>*>"],
        run: "f16 acc32 own contiguous 2x3x16 affine",
        ..F16
    },
    Planted {
        name: "gradient_written_by_every_lane",
        about: "all lanes of the first warp write the block's sums, and only the first has them",
        find: "if (lane == 0) static_cast<Sums<A>*>(arguments.partials)",
        replace: "static_cast<Sums<A>*>(arguments.partials)",
        kernels: &["bn_gradient_sums_rows_f32_acc64_v16"],
        faults: &["Race"],
        at: &["static_cast<Sums<A>*>(arguments.partials)[channel"],
        run: "f32 acc64 own contiguous 2x3x16 affine",
        ..F32
    },
    Planted {
        name: "gradient_sums_not_begun",
        about: "the sums of a thread do not begin at 0",
        find: "Sums<A> own = {0, 0};",
        replace: "Sums<A> own;",
        kernels: &["bn_gradient_sums_rows_bf16_acc32_v1"],
        faults: &["UninitialisedRegister"],
        at: &["own = own + of_tile;", "own = add_warp(own);\n    if"],
        run: "bf16 acc32 own contiguous 2x3x15 affine",
        ..BF16
    },
    Planted {
        name: "gradient_wrong_half",
        about: "the tree takes its partner half a thread away in place of half a row of threads",
        find: "own[i] = own[i] + of_thread[i][thread + half * blockDim.x];",
        replace: "own[i] = own[i] + of_thread[i][thread + half];",
        kernels: &["bn_gradient_sums_columns_f16_acc32_v1"],
        faults: &["Race"],
        at: &[
            "own[i] = own[i] + of_thread[i][thread + half];",
            "of_thread[i][thread] = own[i];\n            }",
        ],
        run: "f16 acc32 own channels_last 3x5x7 affine",
        ..F16
    },
    Planted {
        name: "gradient_tree_past_the_end",
        about: "the tree begins with all rows of threads, which have no partner",
        find: "for (u32 half = blockDim.y / 2;",
        replace: "for (u32 half = blockDim.y;",
        kernels: &["bn_gradient_sums_columns_f32_acc32_v1"],
        faults: &["OutOfBounds"],
        at: &["own[i] = own[i] + of_thread[i][thread + half * blockDim.x];"],
        run: "f32 acc32 own channels_last 3x5x7 affine",
        ..F32
    },
    Planted {
        name: "gradient_barrier_for_half_the_threads",
        about: "only the threads that add wait at the barrier",
        find: "__syncthreads();\n        if (threadIdx.y < half) {\n",
        replace: "if (threadIdx.y < half) {\n            __syncthreads();\n",
        kernels: &["bn_gradient_sums_columns_f32_acc32_v16"],
        faults: &["BarrierDivergence"],
        at: &["            __syncthreads();"],
        run: "f32 acc32 own channels_last 3x128x5 affine",
        ..F32
    },
    Planted {
        name: "gradient_dx_not_checked",
        about: "the gradient of the input is written where none is wanted",
        find: "if (dx) store<V>(dx + at, gradient);",
        replace: "store<V>(dx + at, gradient);",
        kernels: &["bn_gradient_sums_columns_f64_acc64_v16"],
        faults: &["OutOfBounds"],
        at: &["store<V>(dx + at, gradient);"],
        run: "f64 acc64 own channels_last 3x4x5 affine",
        ..F64
    },
    Planted {
        name: "gradient_rows_by_every_thread",
        about: "every row of threads goes through every row of the block",
        find: "row = begin + threadIdx.y; row < end && has_channels; row += blockDim.y",
        replace: "row = begin; row < end && has_channels; row++",
        kernels: &["bn_gradient_sums_columns_f16_acc64_v1"],
        faults: &["Race"],
        at: &["if (dx) store<V>(dx + at, gradient);"],
        run: "f16 acc64 own channels_last 3x5x7 affine",
        ..F16
    },
    Planted {
        name: "gradient_overlapping_splits",
        about: "a block begins one row before the last of the block before it ends",
        find: "u64 begin = split * arguments.chunk;\n    \
               u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : \
               arguments.values;\n\n",
        replace: "u64 begin = split * (arguments.chunk - 1);\n    \
                  u64 end = begin + arguments.chunk < arguments.values ? begin + arguments.chunk : \
                  arguments.values;\n\n",
        kernels: &["bn_gradient_sums_columns_bf16_acc32_v1"],
        faults: &["RaceBetweenBlocks"],
        at: &["if (dx) store<V>(dx + at, gradient);"],
        run: "bf16 acc32 own channels_last 3x33x100 affine",
        ..BF16
    },
    Planted {
        name: "gradient_wrong_mask",
        about: "the mask of the shuffles names half of the lanes that take part",
        file: "moments.cuh",
        find: "constexpr u32 EVERY_LANE = 0xffffffffu;",
        replace: "constexpr u32 EVERY_LANE = 0x0000ffffu;",
        kernels: &["bn_gradient_channels_f32_acc32_own"],
        faults: &["PartialMask"],
        at: &["Sums<A> other = {__shfl_down_sync(EVERY_LANE, own.dy, offset),"],
        run: "f32 acc32 own contiguous 2x3x5 affine",
        ..F32
    },
    Planted {
        name: "gradient_threads_of_no_warp",
        about: "a quotient the wrong way round is 0, and is divided by",
        find: "(CHANNEL_THREADS / WARP) + threadIdx.x / WARP;",
        replace: "(CHANNEL_THREADS / WARP) + threadIdx.x / (WARP / blockDim.x);",
        kernels: &["bn_gradient_channels_bf16_acc64_own"],
        faults: &["DivisionByZero"],
        at: &["(CHANNEL_THREADS / WARP) + threadIdx.x / (WARP / blockDim.x);"],
        run: "bf16 acc64 own contiguous 2x3x5 affine",
        ..BF16
    },
    Planted {
        name: "gradient_step_of_nothing",
        about: "the step of a loop is a quotient that is 0",
        find: "split < arguments.splits; split += WARP) all = all + partials[split];",
        replace: "split < arguments.splits; split += WARP / blockDim.x) all = all + partials[split];",
        kernels: &["bn_gradient_channels_f16_acc32_own"],
        faults: &["EndlessLoop"],
        at: &["split += WARP / blockDim.x) all = all + partials[split];"],
        run: "f16 acc32 own contiguous 2x3x5 affine",
        ..F16
    },
    Planted {
        name: "gradient_of_weight_not_checked",
        about: "the gradient of the weight is written where none is wanted",
        find: "if (arguments.grad_weight) static_cast<P*>",
        replace: "static_cast<P*>",
        kernels: &["bn_gradient_channels_bf16_acc32_f32"],
        faults: &["OutOfBounds"],
        at: &["static_cast<P*>(arguments.grad_weight)[channel] = narrow<P>(all.dy_xhat);"],
        run: "bf16 acc32 f32 contiguous 2x3x5 plain",
        ..BF16
    },
    Planted {
        name: "gradient_channels_by_every_lane",
        about: "all lanes write what only the first has",
        find: "    if (lane != 0) return;\n",
        replace: "",
        kernels: &["bn_gradient_channels_f64_acc64_own"],
        faults: &["Race"],
        at: &["if (arguments.grad_bias) static_cast<P*>(arguments.grad_bias)[channel] = narrow<P>(all.dy);"],
        run: "f64 acc64 own contiguous 2x3x5 affine",
        ..F64
    },
];
