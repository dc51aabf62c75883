//! Operations on bits that Rust has under no name.

/// `prmt` in its default mode: each nibble of the selector picks a byte of `b:a`, or spreads its sign.
pub fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = (u64::from(b) << 32 | u64::from(a)).to_le_bytes();
    let picked = [0, 4, 8, 12].map(|shift| {
        let nibble = selector >> shift;
        let byte = bytes[(nibble & 7) as usize];
        if nibble & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 }
    });
    u32::from_le_bytes(picked)
}

/// `lop3`: bit i of the table is the answer for the operands' bits `a·4 + b·2 + c = i`.
pub fn lookup(a: u32, b: u32, c: u32, table: u32) -> u32 {
    let mut result = 0;
    for row in (0..8).filter(|row| table >> row & 1 != 0) {
        let pick = |x: u32, bit: u32| if row & bit == 0 { !x } else { x };
        result |= pick(a, 4) & pick(b, 2) & pick(c, 1);
    }
    result
}

/// `bfe`: `length` bits from `position`, with zeros or the sign above.
pub fn extract(value: u64, position: u64, length: u64, width: u32, signed: bool) -> u64 {
    let (position, length) = ((position & 0xff) as u32, (length & 0xff) as u32);
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    if length == 0 {
        return 0;
    }
    let sign_at = (position.saturating_add(length) - 1).min(width - 1);
    let sign = signed && value >> sign_at & 1 != 0;
    let mut result = 0;
    for bit in 0..width {
        let set =
            if bit < length && position + bit < width { value >> (position + bit) & 1 != 0 } else { sign };
        result |= u64::from(set) << bit;
    }
    result & mask
}

/// `bfi`: the lowest `length` bits of `from` at `position` of `into`.
pub fn insert(from: u64, into: u64, position: u64, length: u64, width: u32) -> u64 {
    let (position, length) = ((position & 0xff) as u32, (length & 0xff) as u32);
    let mut result = into;
    for bit in 0..length.min(width) {
        let to = position + bit;
        if to < width {
            result = result & !(1 << to) | (from >> bit & 1) << to;
        }
    }
    result
}

/// `shf`: a window of 32 bits of `high:low`, by at most 32 (clamp) or modulo 32 (wrap).
pub fn funnel(low: u32, high: u32, by: u32, left: bool, clamp: bool) -> u32 {
    let by = if clamp { by.min(32) } else { by & 31 };
    let both = u64::from(high) << 32 | u64::from(low);
    if left { (both << by >> 32) as u32 } else { (both >> by) as u32 }
}
