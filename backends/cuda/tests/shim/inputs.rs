//! What the kernels are given: shapes, layouts and numbers, the same on every run.

use bn_api::{DType, Layout, Tensor};

/// Sizes around those at which a kernel does something else: vectors, warps, blocks.
const SIZES: [usize; 16] = [1, 2, 3, 7, 8, 16, 17, 31, 33, 49, 64, 65, 255, 256, 257, 513];

/// Every way a tensor can lie.
pub const LAYOUTS: [Layout; 5] =
    [Layout::Contiguous, Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded];

/// Numbers that look random (`SplitMix64`: Steele, Lea and Flood 2014).
pub struct Draw(pub u64);

impl Draw {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Between 0 and 1.
    fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Shapes of ranks 2 to 5 with at most `elements` elements, `count` of each rank.
pub fn shapes(draw: &mut Draw, count: usize, elements: usize) -> Vec<Vec<usize>> {
    let mut shapes = Vec::new();
    for rank in 2..=5 {
        for _ in 0..count {
            let mut shape = vec![1; rank];
            // One dimension after the other, in an order that is drawn too, so that each is the long one at times.
            let first = draw.below(rank);
            let mut left = elements;
            for step in 0..rank {
                let fitting: Vec<usize> = SIZES.iter().copied().filter(|size| *size <= left).collect();
                let size = draw.of(&fitting);
                shape[(first + step) % rank] = size;
                left /= size;
            }
            shapes.push(shape);
        }
    }
    shapes
}

/// Shapes whose channels are divided between blocks, and such with many channels.
pub fn divided(storage: DType) -> Vec<Vec<usize>> {
    // More than 32 blocks a channel: a lane of the warp that puts them together has two.
    let many = match storage.size() {
        2 => vec![1100, 256],
        4 => vec![2150, 128],
        _ => vec![4300, 64],
    };
    let mut shapes = vec![many];
    shapes.extend([
        vec![20_000, 1],
        vec![20_000, 3],
        vec![10_000, 8],
        vec![2, 2, 100, 100],
        vec![1, 3, 20_011],
        vec![7, 3, 37, 79],
        vec![4, 600],
        vec![3, 600, 3],
        vec![2, 599, 2, 2],
        vec![1, 16, 2, 2, 300],
    ]);
    shapes
}

/// The elements of a tensor: around a mean of each channel that may lie far from zero, some of them special.
pub fn tensor(draw: &mut Draw, dtype: DType, shape: &[usize], far: bool, special: bool) -> Tensor {
    let channels = shape.get(1).copied().unwrap_or(1);
    let spread = if far { 300.0 } else { 1.0 };
    let means: Vec<f64> = (0..channels).map(|_| spread * (draw.fraction() - 0.25)).collect();
    let places: usize = shape.iter().skip(2).product();
    let values = (0..shape.iter().product()).map(|index: usize| {
        if special && draw.once_in(40) {
            let (tiny, most) = (dtype.smallest_subnormal(), dtype.max_finite());
            return draw.of(&[
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                0.0,
                -0.0,
                tiny,
                -3.0 * tiny,
                most,
                -most,
            ]);
        }
        means[index / places % channels] + 4.0 * (draw.fraction() + draw.fraction() - 1.0)
    });
    let values: Vec<f64> = values.collect();
    Tensor::from_values(dtype, shape, values)
}

/// A tensor of one number a channel: `least` and up to 2 more.
pub fn of_channels(draw: &mut Draw, dtype: DType, channels: usize, least: f64) -> Tensor {
    let values: Vec<f64> = (0..channels).map(|_| least + 2.0 * draw.fraction()).collect();
    Tensor::from_values(dtype, &[channels], values)
}
