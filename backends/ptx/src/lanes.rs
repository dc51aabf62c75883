//! One operation over the lanes of a warp.

/// The values of a register, one a lane. A value narrower than 64 bits is kept with zeros above it.
pub type Lanes = [u64; 32];

/// Computes `d` from `a`, `b` and `c` in the lanes of the mask.
pub type LaneFn = fn(&Lanes, &Lanes, &Lanes, &mut Lanes, u32);

/// Compares `a` with `b` in every lane: a mask.
pub type CompareFn = fn(&Lanes, &Lanes) -> u32;

/// Every lane.
pub const ALL: u32 = u32::MAX;

/// The lanes of a mask, from the lowest.
pub fn lanes_of(mask: u32) -> impl Iterator<Item = usize> {
    let mut left = mask;
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let lane = left.trailing_zeros() as usize;
            left &= left - 1;
            lane
        })
    })
}

/// Applies an operation on one lane to all lanes of the mask.
#[inline(always)]
#[allow(clippy::inline_always)]
pub fn apply(a: &Lanes, b: &Lanes, c: &Lanes, d: &mut Lanes, mask: u32, f: impl Fn(u64, u64, u64) -> u64) {
    if mask == ALL {
        for lane in 0..32 {
            d[lane] = f(a[lane], b[lane], c[lane]);
        }
    } else {
        for lane in lanes_of(mask) {
            d[lane] = f(a[lane], b[lane], c[lane]);
        }
    }
}

/// Applies a comparison of one lane to all of them.
#[inline(always)]
#[allow(clippy::inline_always)]
pub fn compare(a: &Lanes, b: &Lanes, f: impl Fn(u64, u64) -> bool) -> u32 {
    let mut mask = 0;
    for lane in 0..32 {
        mask |= u32::from(f(a[lane], b[lane])) << lane;
    }
    mask
}

/// A [`LaneFn`] from what happens in a lane.
macro_rules! lane {
    ($f:expr) => {{
        fn run(
            a: &$crate::lanes::Lanes,
            b: &$crate::lanes::Lanes,
            c: &$crate::lanes::Lanes,
            d: &mut $crate::lanes::Lanes,
            mask: u32,
        ) {
            $crate::lanes::apply(a, b, c, d, mask, $f);
        }
        run as $crate::lanes::LaneFn
    }};
}

/// A [`CompareFn`] from what happens in a lane.
macro_rules! lane_compare {
    ($f:expr) => {{
        fn run(a: &$crate::lanes::Lanes, b: &$crate::lanes::Lanes) -> u32 {
            $crate::lanes::compare(a, b, $f)
        }
        run as $crate::lanes::CompareFn
    }};
}

pub(crate) use {lane, lane_compare};

/// A value in a register.
pub trait Word: Copy {
    /// From the register's bits.
    fn of(bits: u64) -> Self;
    /// To the register's bits, zeros above.
    fn bits(self) -> u64;
}

macro_rules! words {
    ($($signed:ty, $unsigned:ty);*) => {$(
        impl Word for $unsigned {
            #[inline]
            fn of(bits: u64) -> Self { bits as $unsigned }
            #[inline]
            #[allow(clippy::cast_lossless)]
            fn bits(self) -> u64 { self as u64 }
        }
        impl Word for $signed {
            #[inline]
            fn of(bits: u64) -> Self { bits as $signed }
            #[inline]
            #[allow(clippy::cast_lossless)]
            fn bits(self) -> u64 { self as $unsigned as u64 }
        }
    )*};
}
words!(i8, u8; i16, u16; i32, u32; i64, u64);

impl Word for f32 {
    #[inline]
    fn of(bits: u64) -> Self {
        f32::from_bits(bits as u32)
    }
    /// NaN is the canonical one.
    #[inline]
    fn bits(self) -> u64 {
        if self.is_nan() { 0x7fff_ffff } else { u64::from(self.to_bits()) }
    }
}

impl Word for f64 {
    #[inline]
    fn of(bits: u64) -> Self {
        f64::from_bits(bits)
    }
    /// NaN is the canonical one.
    #[inline]
    fn bits(self) -> u64 {
        if self.is_nan() { 0x7fff_ffff_ffff_ffff } else { self.to_bits() }
    }
}
