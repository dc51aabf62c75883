//! Comparing memory bit for bit.

use crate::signature::Cell;

/// The first place where two memories differ, in words; the same cells repeat in both.
pub fn difference(cells: &[Cell], one: &[u8], other: &[u8]) -> Option<String> {
    if one.len() != other.len() {
        return Some(format!("{} bytes and {}", one.len(), other.len()));
    }
    if one == other {
        return None;
    }
    let (mut at, mut index) = (0, 0);
    while at < one.len() {
        let cell = cells[index % cells.len()];
        let end = (at + cell.size()).min(one.len());
        let (a, b) = (bits(&one[at..end]), bits(&other[at..end]));
        if a != b && !both_nan(cell, a, b) {
            return Some(format!("{cell:?} number {index} is {} and {}", shown(cell, a), shown(cell, b)));
        }
        (at, index) = (end, index + 1);
    }
    None
}

fn bits(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

fn both_nan(cell: Cell, a: u64, b: u64) -> bool {
    match cell {
        Cell::Float(dtype) => dtype.value_of(a).is_nan() && dtype.value_of(b).is_nan(),
        Cell::Bits(_) => false,
    }
}

fn shown(cell: Cell, bits: u64) -> String {
    let hexadecimal = format!("0x{bits:0width$x}", width = 2 * cell.size());
    match cell {
        Cell::Float(dtype) => format!("{hexadecimal} ({:e})", dtype.value_of(bits)),
        Cell::Bits(_) => hexadecimal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bn_api::DType;

    #[test]
    fn nan_is_nan_in_its_own_type_and_only_there() {
        let f32s = |bits: [u32; 2]| bits.map(u32::to_le_bytes).concat();
        let (one, other) = (f32s([0x7fc0_0000, 1]), f32s([0xffff_ffff, 1]));
        assert_eq!(difference(&[Cell::Float(DType::F32)], &one, &other), None);
        assert!(difference(&[Cell::Bits(4)], &one, &other).is_some());
        // As halves the upper ones are NaN and the lower ones are not.
        let words = difference(&[Cell::Float(DType::Bf16)], &one, &other).expect("a difference");
        assert!(words.contains("number 0 is 0x0000 (0e0) and 0xffff"), "{words}");
    }

    #[test]
    fn zeros_of_either_sign_differ() {
        let words = difference(&[Cell::Float(DType::F16)], &[0, 0, 0, 0], &[0, 0, 0, 0x80]);
        assert_eq!(words.as_deref(), Some("Float(F16) number 1 is 0x0000 (0e0) and 0x8000 (-0e0)"));
    }
}
