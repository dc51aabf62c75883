//! How a tensor is divided between blocks and threads. Nothing here depends on the device, so that the order of every sum,
//! and with it every bit, is the same on all of them.

/// Threads of a block that goes through a large tensor (`THREADS` in `statistics.cuh`).
pub const THREADS: u32 = 256;

/// Threads of a block of which each warp has a channel (`CHANNEL_THREADS` in `channels.cuh`).
pub const CHANNEL_THREADS: u32 = 128;

/// Threads of a warp.
const WARP: u32 = 32;

/// How many values a block reads of a channel, or of its channels: enough to read 32 KiB of `f32`, and few enough that
/// 64 channels of a large image make thousands of blocks.
const VALUES_OF_A_BLOCK: u64 = 8192;

/// How many blocks share a channel at most. Their results are put together by one warp.
const MOST_SPLITS: u64 = 1024;

/// The largest grid in x.
const LARGEST_GRID: u64 = (1 << 31) - 1;

/// A divisor, with what multiplies instead (`Divisor` in `number.cuh`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divisor {
    /// The number to divide by, at least 1.
    pub value: u64,
    /// ⌊(2⁶⁴ - 1)/value⌋.
    pub reciprocal: u64,
}

impl Divisor {
    /// For numbers below 2⁶³; 0 counts as 1, as nothing is divided by it.
    pub fn new(value: u64) -> Self {
        let value = value.max(1);
        Divisor { value, reciprocal: u64::MAX / value }
    }
}

/// How elements follow each other in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// (N, C, places): PyTorch's contiguous.
    Rows,
    /// (N, places, C): channels last.
    Columns,
}

/// A tensor without gaps, as kernels see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// N.
    pub samples: u64,
    /// C.
    pub channels: u64,
    /// The product of the dimensions behind C.
    pub places: u64,
    /// How they follow each other.
    pub order: Order,
}

impl Geometry {
    /// The geometry of a tensor of this shape (N, C, …) that lies in this order. Where both orders are the same one, it is
    /// the one in which neighbouring threads read neighbours: columns of a single place, rows of a single channel.
    pub fn new(shape: &[usize], order: Order) -> Self {
        let size = |dimension: usize| shape.get(dimension).map_or(1, |size| *size as u64);
        let places = shape.iter().skip(2).map(|size| *size as u64).product();
        let (samples, channels) = (size(0), size(1));
        match (channels, places) {
            (1, _) => Geometry { samples: 1, channels, places: samples * places, order: Order::Rows },
            (_, 1) => Geometry { samples, channels, places, order: Order::Columns },
            _ => Geometry { samples, channels, places, order },
        }
    }

    /// Elements in all.
    pub fn elements(&self) -> u64 {
        self.samples * self.channels * self.places
    }

    /// Values of a channel, n.
    pub fn values(&self) -> u64 {
        self.samples * self.places
    }

    /// Elements from one channel to the next, in memory.
    pub fn inner(&self) -> Divisor {
        Divisor::new(if self.order == Order::Rows { self.places } else { 1 })
    }
}

/// How a reduction is launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduction {
    /// The part of the kernel's name that says in which order and by which reads: `rows`, and `v16` or `v1`.
    pub order: &'static str,
    /// See `order`.
    pub width: &'static str,
    /// Values of a channel that a block reads.
    pub chunk: u64,
    /// Blocks to a channel.
    pub splits: u32,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
}

/// A tensor that a grid cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{blocks} blocks are more than a grid holds (2³¹ - 1)")]
pub struct TooLarge {
    /// How many there would be.
    pub blocks: u64,
}

impl Reduction {
    /// Of a tensor that has elements, each of `size` bytes.
    ///
    /// # Errors
    /// When there are more blocks than a grid holds.
    pub fn new(geometry: &Geometry, size: usize) -> Result<Self, TooLarge> {
        let wide = (16 / size) as u64;
        let values = geometry.values();
        let run = if geometry.order == Order::Rows { geometry.places } else { geometry.channels };
        let vector = if run % wide == 0 { wide } else { 1 };
        let width = if vector > 1 || wide == 1 { "v16" } else { "v1" };
        // The smallest number of values that leaves no thread without a full tile: `TILE` in `statistics.cuh`.
        let tile = if vector > 1 { 16 } else { 8 };
        let (order, block, at_once, target, of_a_split) = match geometry.order {
            Order::Rows => {
                ("rows", [THREADS, 1, 1], u64::from(THREADS) * tile, VALUES_OF_A_BLOCK, geometry.channels)
            }
            Order::Columns => {
                let groups = geometry.channels / vector;
                let across = groups.min(u64::from(WARP)).next_power_of_two();
                let down = u64::from(THREADS) / across;
                let columns = groups.div_ceil(across);
                let target = VALUES_OF_A_BLOCK / (across * vector);
                ("columns", [across as u32, down as u32, 1], down * (tile / vector), target, columns)
            }
        };
        let chunk = target.max(values.div_ceil(MOST_SPLITS)).next_multiple_of(at_once);
        let splits = values.div_ceil(chunk).max(1);
        let blocks = of_a_split.saturating_mul(splits);
        Ok(Reduction { order, width, chunk, splits: splits as u32, grid: grid(blocks)?, block })
    }
}

/// A grid of this many blocks.
///
/// # Errors
/// When there are more than a grid holds.
pub fn grid(blocks: u64) -> Result<[u32; 3], TooLarge> {
    if blocks > LARGEST_GRID { Err(TooLarge { blocks }) } else { Ok([blocks as u32, 1, 1]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel does it.
    fn quotient(number: u64, by: Divisor) -> u64 {
        let estimate = ((u128::from(number) * u128::from(by.reciprocal)) >> 64) as u64;
        if number - estimate * by.value >= by.value { estimate + 1 } else { estimate }
    }

    #[test]
    fn a_product_divides() {
        let divisors =
            (1..2000).chain([4095, 4096, 4097, 12544, 65537, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 62) + 1]);
        for value in divisors {
            let by = Divisor::new(value);
            let last = (1_u64 << 63) - 1;
            let multiples = (0..64).map(|bits| ((last >> bits) / value) * value);
            let near = multiples.flat_map(|multiple| [multiple.saturating_sub(1), multiple, multiple + 1]);
            for number in near.chain([0, 1, last]).filter(|number| *number <= last) {
                assert_eq!(quotient(number, by), number / value, "{number} / {value}");
            }
        }
    }

    #[test]
    fn blocks_cover_all_values_and_none_is_empty() {
        for (shape, order) in [
            (vec![32, 64, 112, 112], Order::Rows),
            (vec![32, 64, 112, 112], Order::Columns),
            (vec![1, 1, 1 << 20, 1 << 12], Order::Rows),
            (vec![2, 3], Order::Rows),
            (vec![1_000_000, 7], Order::Columns),
            (vec![3, 5, 7], Order::Rows),
            (vec![3, 513, 7], Order::Columns),
        ] {
            for size in [2, 4, 8] {
                let geometry = Geometry::new(&shape, order);
                let plan = Reduction::new(&geometry, size).unwrap();
                let splits = u64::from(plan.splits);
                assert!(
                    splits <= MOST_SPLITS && splits * plan.chunk >= geometry.values(),
                    "{shape:?}: {plan:?}"
                );
                assert!((splits - 1) * plan.chunk < geometry.values(), "{shape:?}: {plan:?}");
                assert_eq!(plan.block.iter().product::<u32>(), THREADS);
            }
        }
    }

    #[test]
    fn reads_are_wide_where_every_vector_is_aligned() {
        let width =
            |shape: &[usize], order, size| Reduction::new(&Geometry::new(shape, order), size).unwrap().width;
        assert_eq!(width(&[2, 3, 8], Order::Rows, 2), "v16");
        assert_eq!(width(&[2, 3, 4], Order::Rows, 2), "v1");
        assert_eq!(width(&[2, 3, 4], Order::Rows, 4), "v16");
        assert_eq!(width(&[2, 3, 4], Order::Columns, 4), "v1");
        assert_eq!(width(&[2, 4], Order::Rows, 4), "v16");
        assert_eq!(width(&[4, 1, 7], Order::Rows, 4), "v16");
    }

    #[test]
    fn more_blocks_than_a_grid_holds_are_refused() {
        let geometry = Geometry { samples: 1, channels: 1 << 32, places: 2, order: Order::Rows };
        assert_eq!(Reduction::new(&geometry, 4), Err(TooLarge { blocks: 1 << 32 }));
    }
}
