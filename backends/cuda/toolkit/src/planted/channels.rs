//! Mistakes in what each channel is normalised with, and in the running statistics.

use super::{IN_BF16, IN_F16, IN_F32, IN_F64, Planted, UNWRITTEN};

const F16: Planted = Planted { file: "channels.cuh", ..IN_F16 };
const BF16: Planted = Planted { file: "channels.cuh", ..IN_BF16 };
const F32: Planted = Planted { file: "channels.cuh", ..IN_F32 };
const F64: Planted = Planted { file: "channels.cuh", ..IN_F64 };

pub(super) const MISTAKES: &[Planted] = &[
    Planted {
        name: "channels_one_too_many",
        about: "one more warp than there are channels reads its partials",
        find: "// A whole warp leaves, or none of its lanes.\n    if (channel >= arguments.channels) return;",
        replace: "// A whole warp leaves, or none of its lanes.\n    \
                  if (channel > arguments.channels) return;",
        kernels: &["bn_channels_train_f32_acc32_own"],
        faults: &["OutOfBounds"],
        at: &["all = combine(all, partials[split]);"],
        run: "f32 acc32 own contiguous 2x3x5 affine",
        ..F32
    },
    Planted {
        name: "channels_not_found",
        about: "what the channels are normalised with is not written",
        find: "    static_cast<Channel<A>*>(arguments.found)[channel] = channel_of<P, A>(arguments, \
               channel, mean, all.squares / n);\n",
        replace: "",
        kernels: &["bn_channels_train_bf16_acc32_own"],
        faults: &["UninitialisedMemory"],
        at: &["Channel<A> channel = found[walk.channel];\n        if (at + V"],
        run: "bf16 acc32 own contiguous 2x3x5 affine",
        ..BF16
    },
    Planted {
        name: "channels_running_var_not_moved",
        about: "the running variance is not written",
        find: "        static_cast<P*>(arguments.new_var)[channel] = narrow<P>(new_var);\n",
        replace: "",
        kernels: &["bn_channels_train_f64_acc64_own"],
        faults: &[UNWRITTEN],
        run: "f64 acc64 own contiguous 2x3x5 affine",
        ..F64
    },
    Planted {
        name: "channels_move_in_place",
        about: "the running mean is written where it comes from",
        find: "static_cast<P*>(arguments.new_mean)[channel] = narrow<P>(new_mean);",
        replace: "static_cast<P*>(const_cast<void*>(arguments.running_mean))[channel] = narrow<P>(new_mean);",
        kernels: &["bn_channels_train_f16_acc32_f32"],
        faults: &["WriteToInput"],
        at: &["arguments.running_mean))[channel] = narrow<P>(new_mean);"],
        run: "f16 acc32 f32 contiguous 2x3x5 affine",
        ..F16
    },
    Planted {
        name: "channels_weight_not_checked",
        about: "the weight is read where there is none",
        find: "found.gamma = weight ? widen<A>(weight[channel]) : A(1);",
        replace: "found.gamma = widen<A>(weight[channel]);",
        kernels: &["bn_channels_evaluate_f64_acc64_own"],
        faults: &["OutOfBounds"],
        at: &["found.gamma = widen<A>(weight[channel]);"],
        run: "f64 acc64 own contiguous 2x3x5 plain",
        ..F64
    },
    Planted {
        name: "channels_without_bound",
        about: "every thread of the block reads running statistics",
        find: "u64 channel = u64(blockIdx.x) * CHANNEL_THREADS + threadIdx.x;\n    \
               if (channel >= arguments.channels) return;\n",
        replace: "u64 channel = u64(blockIdx.x) * CHANNEL_THREADS + threadIdx.x;\n",
        kernels: &["bn_channels_evaluate_bf16_acc64_own"],
        faults: &["OutOfBounds"],
        at: &["A mean = widen<A>(static_cast<const P*>(arguments.running_mean)[channel]);"],
        run: "bf16 acc64 own contiguous 2x3x5 affine",
        ..BF16
    },
    Planted {
        name: "channels_one_place_on",
        about: "what a channel is normalised with is written to the next one's place",
        find: "found)[channel] = channel_of<P, A>(arguments, channel, mean, var);",
        replace: "found)[channel + 1] = channel_of<P, A>(arguments, channel, mean, var);",
        kernels: &["bn_channels_evaluate_f16_acc32_own"],
        faults: &["OutOfBounds"],
        at: &["found)[channel + 1] = channel_of<P, A>(arguments, channel, mean, var);"],
        run: "f16 acc32 own contiguous 2x3x5 affine",
        ..F16
    },
];
