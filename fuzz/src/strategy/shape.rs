//! Shapes: ranks 2 to 5, sizes about the edges of vectors, warps and blocks.

use proptest::prelude::*;

/// The most elements of an input.
pub const MAX_ELEMENTS: usize = 2000;

/// One dimension.
fn size() -> BoxedStrategy<usize> {
    prop_oneof![
        4 => prop::sample::select(vec![2usize, 1, 3]),
        3 => prop::sample::select(vec![4usize, 5, 7, 8, 9, 11, 13]),
        3 => prop::sample::select(vec![15usize, 16, 17, 31, 32, 33, 37]),
        2 => prop::sample::select(vec![63usize, 64, 65, 127, 128, 129, 255, 256, 257]),
        1 => prop::sample::select(vec![511usize, 512, 513, 997, 1000, 1023, 1024, 1025]),
        2 => 1..50usize,
    ]
    .boxed()
}

/// A shape before it fits.
#[derive(Debug, Clone)]
pub struct ShapePlan {
    sizes: Vec<usize>,
    /// Which dimension gets its size first; the others take what is left.
    first: usize,
    values: Values,
}

/// How many values a channel has.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// More than one.
    Several,
    /// One.
    Single,
    /// None: an empty batch.
    None,
    /// There is no channel.
    NoChannel,
}

/// Shapes of rank 2 to 5.
pub fn plan() -> BoxedStrategy<ShapePlan> {
    let sizes = prop_oneof![Just(2usize), Just(3), Just(4), Just(5)]
        .prop_flat_map(|rank| prop::collection::vec(size(), rank));
    let values = prop_oneof![
        190 => Just(Values::Several),
        8 => Just(Values::Single),
        2 => Just(Values::None),
        1 => Just(Values::NoChannel),
    ];
    (sizes, 0..5usize, values).prop_map(|(sizes, first, values)| ShapePlan { sizes, first, values }).boxed()
}

impl ShapePlan {
    /// The shape: at most [`MAX_ELEMENTS`].
    pub fn fit(&self) -> Vec<usize> {
        let rank = self.sizes.len();
        let mut shape = vec![1; rank];
        let mut left = MAX_ELEMENTS;
        for offset in 0..rank {
            let dimension = (self.first + offset) % rank;
            // Two rows must find room.
            let most = if dimension == 1 { left.min(MAX_ELEMENTS / 2) } else { left };
            shape[dimension] = self.sizes[dimension].min(most);
            left /= shape[dimension].max(1);
        }
        let values: usize = shape.iter().product::<usize>() / shape[1].max(1);
        match self.values {
            Values::Several if values == 1 => shape[0] = 2,
            Values::Several => {}
            Values::Single => {
                for (_, size) in shape.iter_mut().enumerate().filter(|(at, _)| *at != 1) {
                    *size = 1;
                }
            }
            Values::None => shape[0] = 0,
            Values::NoChannel => shape[1] = 0,
        }
        shape
    }

    /// A shape of the same class of layer with `like`'s channels, for another input of the same case.
    pub fn fit_like(&self, like: &[usize]) -> Vec<usize> {
        let mut sizes = self.sizes.clone();
        // BatchNorm1d takes ranks 2 and 3.
        let rank = if like.len() <= 3 { sizes.len().min(3) } else { like.len() };
        sizes.resize(rank, 1);
        sizes[1] = like[1];
        let values = if like[1] == 0 { Values::NoChannel } else { self.values };
        let mut shape = ShapePlan { sizes, first: 1, values }.fit();
        shape[1] = like[1];
        shape
    }
}
