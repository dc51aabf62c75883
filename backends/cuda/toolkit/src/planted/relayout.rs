//! Mistakes in bringing a tensor into another order.

use super::{IN_F16, IN_F32, IN_F64, Planted};

const F16: Planted = Planted { file: "relayout.cuh", ..IN_F16 };
const F32: Planted = Planted { file: "relayout.cuh", ..IN_F32 };
const F64: Planted = Planted { file: "relayout.cuh", ..IN_F64 };

pub(super) const MISTAKES: &[Planted] = &[
    Planted {
        name: "relayout_last_element_left_out",
        about: "the last element is not copied, and the statistics read it",
        find: "if (element >= arguments.elements) return;",
        replace: "if (element + 1 >= arguments.elements) return;",
        kernels: &["bn_relayout_f32_bits"],
        faults: &["UninitialisedMemory"],
        at: &["Pack<X, V> pack = load<V>(x + (sample"],
        run: "f32 acc32 own permuted 2x3x5 affine",
        ..F32
    },
    Planted {
        name: "relayout_without_bound",
        about: "every thread of the block copies an element",
        find: "    if (element >= arguments.elements) return;\n",
        replace: "",
        kernels: &["bn_relayout_f64_bits"],
        faults: &["OutOfBounds"],
        at: &["static_cast<Bits*>(arguments.to)[element] ="],
        run: "f64 acc64 own permuted 2x3x5 affine",
        ..F64
    },
    Planted {
        name: "relayout_wrong_offset",
        about: "a position is not taken modulo the dimension's size",
        find: "offset += (rest - next * arguments.sizes[d].value) * arguments.strides[d];",
        replace: "offset += rest * arguments.strides[d];",
        kernels: &["bn_relayout_f16_bits"],
        faults: &["OutOfBounds"],
        at: &["static_cast<Bits*>(arguments.to)[element] ="],
        run: "f16 acc32 own sliced 2x3x5 affine",
        ..F16
    },
];
