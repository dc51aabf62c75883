//! Random numbers by place: element `k` of a tensor is the same on every machine, whatever was generated
//! before it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::case::Slot;

/// What a tensor is for; tensors of different roles have independent data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The input of a forward.
    Input = 1,
    /// The gradient of the output for a backward.
    Grad = 2,
    /// The initial weight.
    Weight = 3,
    /// The initial bias.
    Bias = 4,
    /// The initial running mean.
    RunningMean = 5,
    /// The initial running variance.
    RunningVar = 6,
}

impl Role {
    /// The role of a layer's tensor.
    pub fn of(slot: Slot) -> Self {
        match slot {
            Slot::Weight => Role::Weight,
            Slot::Bias => Role::Bias,
            Slot::RunningMean => Role::RunningMean,
            Slot::RunningVar => Role::RunningVar,
        }
    }
}

/// The random numbers of one tensor, in the order of its elements; every element takes the same share of
/// the stream, so the numbers depend on the place alone.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The numbers of the tensor with this role, the `occurrence`-th (from 0) of its role in the case.
    pub fn new(seed: u64, role: Role, occurrence: u32) -> Self {
        let mut key = *b"bncheck: data, stream version 01";
        for (byte, seed_byte) in key.iter_mut().zip(seed.to_le_bytes()) {
            *byte ^= seed_byte;
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream((role as u64) << 32 | u64::from(occurrence));
        Draws(rng)
    }

    /// A number from [0, 1) on a grid of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        let (number, _) = self.pair();
        number
    }

    /// A standard normal number (Box and Muller 1958). `libm`'s software functions give the same bits
    /// everywhere, which the platform's own do not.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = self.pair();
        // 1 - radius is in (0, 1]: the logarithm is finite.
        (-2.0 * libm::log(1.0 - radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
    }

    fn pair(&mut self) -> (f64, f64) {
        let mut unit = || (self.0.next_u64() >> 11) as f64 * 2f64.powi(-53);
        (unit(), unit())
    }
}
