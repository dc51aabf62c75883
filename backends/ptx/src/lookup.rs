//! `lop3` for each of its 256 tables.

use crate::lanes::{LaneFn, Lanes, apply};

fn run<const TABLE: u32>(a: &Lanes, b: &Lanes, c: &Lanes, d: &mut Lanes, mask: u32) {
    apply(a, b, c, d, mask, |a, b, c| u64::from(crate::bits::lookup(a as u32, b as u32, c as u32, TABLE)));
}

macro_rules! rows {
    ($table:expr; $($high:literal)*) => {
        match $table >> 4 {
            $($high => Some(row!($table; $high)),)*
            _ => None,
        }
    };
}

macro_rules! row {
    ($table:expr; $high:literal) => {
        match $table & 15 {
            0 => run::<{ $high * 16 }> as LaneFn,
            1 => run::<{ $high * 16 + 1 }>,
            2 => run::<{ $high * 16 + 2 }>,
            3 => run::<{ $high * 16 + 3 }>,
            4 => run::<{ $high * 16 + 4 }>,
            5 => run::<{ $high * 16 + 5 }>,
            6 => run::<{ $high * 16 + 6 }>,
            7 => run::<{ $high * 16 + 7 }>,
            8 => run::<{ $high * 16 + 8 }>,
            9 => run::<{ $high * 16 + 9 }>,
            10 => run::<{ $high * 16 + 10 }>,
            11 => run::<{ $high * 16 + 11 }>,
            12 => run::<{ $high * 16 + 12 }>,
            13 => run::<{ $high * 16 + 13 }>,
            14 => run::<{ $high * 16 + 14 }>,
            _ => run::<{ $high * 16 + 15 }>,
        }
    };
}

/// The operation of a table.
pub fn table(table: u64) -> Option<LaneFn> {
    rows!(table; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
}
