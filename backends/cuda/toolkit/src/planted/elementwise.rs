//! Mistakes in what goes through a tensor element by element.

use super::{IN_F32, IN_F64, Planted, UNWRITTEN};

const F32: Planted = Planted { file: "elementwise.cuh", ..IN_F32 };
const F64: Planted = Planted { file: "elementwise.cuh", ..IN_F64 };

pub(super) const MISTAKES: &[Planted] = &[
    Planted {
        name: "normalise_tail_as_a_vector",
        about: "the tail is read as if it were a whole vector",
        find: "if (at + V <= arguments.elements) packs[t] = load<V>(x + at);",
        replace: "if (at < arguments.elements) packs[t] = load<V>(x + at);",
        kernels: &["bn_normalise_f64_acc64"],
        faults: &["OutOfBounds"],
        at: &["packs[t] = load<V>(x + at);"],
        run: "f64 acc64 own contiguous 3x5x7 affine",
        ..F64
    },
    Planted {
        name: "normalise_last_element_left_out",
        about: "the tail ends one element early",
        find: "            for (u64 i = at; i < arguments.elements; i++) {\n                \
               if (i > at && walk.step(arguments.inner, arguments.channels)) channel",
        replace: "            for (u64 i = at; i + 1 < arguments.elements; i++) {\n                \
                  if (i > at && walk.step(arguments.inner, arguments.channels)) channel",
        kernels: &["bn_normalise_f64_acc64"],
        faults: &[UNWRITTEN],
        run: "f64 acc64 own contiguous 3x5x7 plain",
        ..F64
    },
    Planted {
        name: "normalise_overlapping_vectors",
        about: "the vectors of a thread are as far apart as if they had one element",
        find: "constexpr int V = WIDE<X>;\n    constexpr u64 STEP = u64(THREADS) * V;",
        replace: "constexpr int V = WIDE<X>;\n    constexpr u64 STEP = u64(THREADS);",
        kernels: &["bn_normalise_f32_acc64"],
        faults: &["Race"],
        at: &["store<V>(y + at, packs[t]);"],
        run: "f32 acc64 own contiguous 2x3x200 affine",
        ..F32
    },
    Planted {
        name: "grad_input_one_past_the_end",
        about: "the tail goes on one element past the end",
        find: "for (u64 i = at; i < arguments.elements; i++) {\n                \
               if (i > at && walk.step(arguments.inner, arguments.channels)) {",
        replace: "for (u64 i = at; i <= arguments.elements; i++) {\n                \
                  if (i > at && walk.step(arguments.inner, arguments.channels)) {",
        kernels: &["bn_grad_input_f32_acc64"],
        faults: &["OutOfBounds"],
        at: &["dx[i] = slope(x[i], dy[i], channel, of_channel);"],
        run: "f32 acc64 own contiguous 3x5x7 affine",
        ..F32
    },
    Planted {
        name: "grad_input_overlapping_blocks",
        about: "blocks are half as far apart as they are wide",
        find: "u64 first = blockIdx.x * (STEP * T) + u64(threadIdx.x) * V;",
        replace: "u64 first = blockIdx.x * (STEP * T / 2) + u64(threadIdx.x) * V;",
        kernels: &["bn_grad_input_f64_acc64"],
        faults: &["RaceBetweenBlocks"],
        at: &["store<V>(dx + at, of_x[t]);"],
        run: "f64 acc64 own contiguous 2x3x200 affine",
        ..F64
    },
    Planted {
        name: "grad_input_stored_in_the_loop",
        about: "the vector is stored after each of its elements in place of after the last",
        find: "of_x[t].at[i] = slope(of_x[t].at[i], of_dy[t].at[i], channel, of_channel);\n            \
               }\n            \
               store<V>(dx + at, of_x[t]);",
        replace: "of_x[t].at[i] = slope(of_x[t].at[i], of_dy[t].at[i], channel, \
                  of_channel);\n            \
                  store<V>(dx + at, of_x[t]); }",
        kernels: &["bn_grad_input_f64_acc64"],
        faults: &["WrittenTwice"],
        at: &["store<V>(dx + at, of_x[t]); }"],
        run: "f64 acc64 own channels_last 3x5x7 affine",
        ..F64
    },
];
