//! What is timed: shapes, types, layouts, passes, and the bytes that each has to move.

use bn_api::DType;

use crate::passes::Numbers;
use crate::plan::Order;

/// The inputs (N, C, H, W) of the batch norms of ResNet-50 on images of 224 × 224, 32 at a time: He et al. 2016, *Deep
/// Residual Learning for Image Recognition*, table 1. The first one is that of the stem.
pub const RESNET_50: [[usize; 4]; 9] = [
    [32, 64, 112, 112],
    [32, 64, 56, 56],
    [32, 256, 56, 56],
    [32, 128, 28, 28],
    [32, 512, 28, 28],
    [32, 256, 14, 14],
    [32, 1024, 14, 14],
    [32, 512, 7, 7],
    [32, 2048, 7, 7],
];

/// A pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// y of x by the running statistics.
    ForwardEval,
    /// y of x by the batch's own statistics, and the running ones moved.
    ForwardTrain,
    /// All three gradients, through the batch's statistics.
    BackwardTrain,
    /// All three gradients, beside the running statistics.
    BackwardEval,
}

impl Pass {
    /// All of them.
    pub const ALL: [Pass; 4] =
        [Pass::ForwardEval, Pass::ForwardTrain, Pass::BackwardTrain, Pass::BackwardEval];

    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Pass::ForwardEval => "forward eval",
            Pass::ForwardTrain => "forward train",
            Pass::BackwardTrain => "backward train",
            Pass::BackwardEval => "backward eval",
        }
    }

    /// Whether it is a forward.
    pub const fn is_forward(self) -> bool {
        matches!(self, Pass::ForwardEval | Pass::ForwardTrain)
    }

    /// Whether the batch's statistics normalise.
    pub const fn is_training(self) -> bool {
        matches!(self, Pass::ForwardTrain | Pass::BackwardTrain)
    }

    /// How often an element goes to or from memory when nothing stays on the chip: x, y; x, x, y; x, dy, x, dy, dx;
    /// x, dy, dx. What is of a channel is not counted.
    pub const fn movements(self) -> u64 {
        match self {
            Pass::ForwardEval => 2,
            Pass::ForwardTrain | Pass::BackwardEval => 3,
            Pass::BackwardTrain => 5,
        }
    }

    /// How many tensors as large as x it touches: x, y; x, dy, dx.
    pub const fn tensors(self) -> u64 {
        if self.is_forward() { 2 } else { 3 }
    }
}

/// What passes are timed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// (N, C, …).
    pub shape: Vec<usize>,
    /// The types.
    pub numbers: Numbers,
    /// How elements follow each other.
    pub order: Order,
}

impl Subject {
    /// Elements of x.
    pub fn elements(&self) -> u64 {
        self.shape.iter().map(|size| *size as u64).product()
    }

    /// The bytes that a pass moves.
    pub fn bytes(&self, pass: Pass) -> u64 {
        self.elements() * self.numbers.storage.size() as u64 * pass.movements()
    }

    /// The bytes of the tensors that a pass touches. What fits into the second-level cache is not read from memory again.
    pub fn footprint(&self, pass: Pass) -> u64 {
        self.elements() * self.numbers.storage.size() as u64 * pass.tensors()
    }
}

/// Every shape in both orders, in `f32`, in `f32` with sums in `f64`, and in both half types beside parameters in `f32`;
/// the first one in `f64` as well. What has the same storage type stands together.
pub fn subjects(shapes: &[Vec<usize>]) -> Vec<Subject> {
    use DType::{Bf16, F16, F32, F64};
    let types = [(F32, F32, F32), (F32, F32, F64), (F16, F32, F32), (Bf16, F32, F32), (F64, F64, F64)];
    let mut subjects = Vec::new();
    for (storage, parameters, accumulator) in types {
        let numbers = Numbers { storage, parameters, accumulator };
        let all = if storage == F64 { 1 } else { shapes.len() };
        for shape in shapes.iter().take(all) {
            let of = |order| Subject { shape: shape.clone(), numbers, order };
            subjects.extend([Order::Rows, Order::Columns].map(of));
        }
    }
    subjects
}

/// How many different numbers a tensor has: a prime, so that no channel has the same ones as another.
const DIFFERENT: usize = 65_537;

/// Numbers of mean 0 within (-2, 2), as the bytes of a tensor. Not zeros: some devices draw less power for these, and run
/// faster.
pub(super) fn values(dtype: DType, elements: usize, seed: u64) -> Vec<u8> {
    repeated(dtype, elements, seed, |unit| 4.0 * unit - 2.0)
}

/// Numbers within (0.5, 1.5), fit for variances and weights.
pub(super) fn positive(dtype: DType, elements: usize, seed: u64) -> Vec<u8> {
    repeated(dtype, elements, seed, |unit| unit + 0.5)
}

fn repeated(dtype: DType, elements: usize, seed: u64, of_unit: impl Fn(f64) -> f64) -> Vec<u8> {
    let size = dtype.size();
    let mut state = seed;
    let mut tile = Vec::with_capacity(DIFFERENT.min(elements) * size);
    for _ in 0..DIFFERENT.min(elements) {
        // Knuth's generator (TAOCP 3.3.4, table 1, line 26), of which the upper half is used.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = ((state >> 33) as f64 + 0.5) / 2_f64.powi(31);
        tile.extend_from_slice(&dtype.bits_of(of_unit(unit)).to_le_bytes()[..size]);
    }
    let mut bytes = Vec::with_capacity(elements * size);
    while bytes.len() < elements * size {
        let missing = (elements * size - bytes.len()).min(tile.len());
        bytes.extend_from_slice(&tile[..missing]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_every_reading_and_writing_of_a_tensor() {
        let numbers = |storage| Numbers { storage, parameters: DType::F32, accumulator: DType::F32 };
        let subject =
            |storage| Subject { shape: vec![2, 3, 5], numbers: numbers(storage), order: Order::Rows };
        assert_eq!(Pass::ALL.map(|pass| subject(DType::F32).bytes(pass)), [240, 360, 600, 360]);
        assert_eq!(Pass::ALL.map(|pass| subject(DType::F16).bytes(pass)), [120, 180, 300, 180]);
        assert_eq!(Pass::ALL.map(|pass| subject(DType::F64).footprint(pass)), [480, 480, 720, 720]);
    }

    #[test]
    fn every_shape_is_timed_in_both_layouts_and_all_types_and_f64_once() {
        let shapes = RESNET_50.map(|shape| shape.to_vec());
        let subjects = subjects(&shapes);
        assert_eq!(subjects.len(), 9 * 2 * 4 + 2);
        let count = |storage, accumulator| {
            let of = |subject: &&Subject| {
                (subject.numbers.storage, subject.numbers.accumulator) == (storage, accumulator)
            };
            subjects.iter().filter(of).count()
        };
        assert_eq!(count(DType::F32, DType::F32), 18);
        assert_eq!(count(DType::F32, DType::F64), 18);
        assert_eq!(count(DType::F64, DType::F64), 2);
        assert_eq!(subjects[0].elements(), 32 * 64 * 112 * 112);
    }

    #[test]
    fn contents_are_many_different_numbers_within_their_bounds() {
        for dtype in DType::FLOATS {
            let size = dtype.size();
            let numbers = |bytes: &[u8]| -> Vec<f64> {
                let bits = |element: &[u8]| {
                    let mut word = [0; 8];
                    word[..size].copy_from_slice(element);
                    u64::from_le_bytes(word)
                };
                bytes.chunks_exact(size).map(|element| dtype.value_of(bits(element))).collect()
            };
            let drawn = numbers(&values(dtype, 70_000, 1));
            assert_eq!(drawn.len(), 70_000);
            assert!(drawn.iter().all(|value| value.abs() <= 2.0));
            assert!((drawn.iter().sum::<f64>() / 70_000.0).abs() < 0.02, "{dtype}");
            assert_eq!(drawn[..70_000 - DIFFERENT], drawn[DIFFERENT..]);
            assert_ne!(drawn[..100], numbers(&values(dtype, 100, 2))[..]);
            assert!(numbers(&positive(dtype, 100, 1)).iter().all(|value| (0.5..=1.5).contains(value)));
        }
    }
}
