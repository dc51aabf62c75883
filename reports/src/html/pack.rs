//! How data travel in the page: columns of small numbers and JSON, deflated and written as Base64. The script's `data.js`
//! reads what is written here.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;

/// A block of data, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The element's id.
    pub id: String,
    /// Its contents.
    pub base64: String,
}

impl Block {
    /// Packs bytes.
    pub fn new(id: impl Into<String>, bytes: &[u8]) -> Self {
        Block { id: id.into(), base64: packed(bytes) }
    }

    /// Packs a value as JSON.
    pub fn of_json(id: impl Into<String>, value: &impl Serialize) -> Self {
        Self::new(id, &json(value))
    }

    /// Bytes that the block takes in the page.
    pub fn size(&self) -> usize {
        MARKUP + self.id.len() + self.base64.len()
    }
}

/// Bytes of the element around a block.
const MARKUP: usize = 60;

fn packed(bytes: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(6));
    // Writing to memory cannot fail.
    let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
    STANDARD.encode(deflated)
}

/// A value as JSON.
///
/// # Panics
/// Never: what is packed has only strings as keys and no number that JSON lacks.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the page's data are JSON")
}

/// Several parts in one block, each after its length in four bytes, little-endian.
#[derive(Debug, Default)]
pub struct Parts(Vec<u8>);

impl Parts {
    /// Adds a part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.extend((part.len() as u32).to_le_bytes());
        self.0.extend(part);
    }

    /// All of them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A number of at least one byte, seven bits a byte, the lowest first.
pub fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A column whose neighbours are often alike: each value with how often it stands in a row.
pub fn runs(values: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    for value in values {
        run = match run {
            Some((of, length)) if of == value => Some((of, length + 1)),
            Some((of, length)) => {
                varint(&mut bytes, of);
                varint(&mut bytes, length);
                Some((value, 1))
            }
            None => Some((value, 1)),
        };
    }
    if let Some((of, length)) = run {
        varint(&mut bytes, of);
        varint(&mut bytes, length);
    }
    bytes
}

/// A column of two-byte numbers: first all the high bytes, which are often alike, then all the low ones.
pub fn planes(values: &[u16]) -> Vec<u8> {
    let high = values.iter().map(|value| (value >> 8) as u8);
    high.chain(values.iter().map(|&value| value as u8)).collect()
}

/// A column of texts, each as how many UTF-16 units it begins with of the one before, and the rest. Texts have no line
/// breaks.
pub fn fronts<'a>(texts: impl IntoIterator<Item = &'a str>) -> (Vec<u8>, String) {
    let mut shared = Vec::new();
    let mut rests = String::new();
    let mut before = "";
    for (place, text) in texts.into_iter().enumerate() {
        let alike = text.chars().zip(before.chars()).take_while(|(one, other)| one == other);
        let (units, bytes) =
            alike.fold((0, 0), |(units, bytes), (c, _)| (units + c.len_utf16(), bytes + c.len_utf8()));
        varint(&mut shared, units);
        if place > 0 {
            rests.push('\n');
        }
        rests += &text[bytes..];
        before = text;
    }
    (shared, rests)
}

/// A positive number to three digits in two bytes: 0 where there is none, 1 for zero, and otherwise digits and a power
/// of ten from -36 to 35. What is beyond counts as the last.
pub fn three_digits(number: Option<f64>) -> u16 {
    const LOWEST: i32 = -36;
    const HIGHEST: i32 = 35;
    match number {
        None => 0,
        Some(number) if number.is_nan() => 0,
        Some(number) if number <= 0.0 => 1,
        Some(number) => {
            let mut exponent = number.log10().floor();
            let mut digits = (number / 10f64.powf(exponent) * 100.0).round();
            if digits >= 1000.0 {
                (digits, exponent) = (100.0, exponent + 1.0);
            }
            if exponent > f64::from(HIGHEST) {
                (digits, exponent) = (999.0, f64::from(HIGHEST));
            }
            if exponent < f64::from(LOWEST) {
                (digits, exponent) = (100.0, f64::from(LOWEST));
            }
            let place = (exponent as i32 - LOWEST) as u16;
            2 + place * 900 + (digits.clamp(100.0, 999.0) as u16 - 100)
        }
    }
}

/// The share of the budget that a passing step uses, in a byte: 0 where there is none, 1 for zero, and otherwise four
/// powers of ten below 1 in steps of 3.7 %. What is below counts as the smallest.
pub fn share(used: Option<f64>) -> u8 {
    match used {
        None => 0,
        Some(used) if used <= 0.0 || used.is_nan() => 1,
        Some(used) => (255.0 + used.log10() / 4.0 * 253.0).round().clamp(2.0, 255.0) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the script makes of three digits.
    fn read(code: u16) -> Option<f64> {
        match code {
            0 => None,
            1 => Some(0.0),
            code => {
                let (place, digits) = ((code - 2) / 900, (code - 2) % 900 + 100);
                Some(f64::from(digits) * 10f64.powi(i32::from(place) - 38))
            }
        }
    }

    #[test]
    fn three_digits_keep_three_digits() {
        assert_eq!(read(three_digits(None)), None);
        assert_eq!(read(three_digits(Some(0.0))), Some(0.0));
        for exponent in -36..=35 {
            for digits in [1.0, 1.004, 3.217, 9.994, 9.9951, 9.999] {
                let number = digits * 10f64.powi(exponent);
                let found = read(three_digits(Some(number))).unwrap();
                assert!((found / number - 1.0).abs() <= 0.005, "{number:e} is read as {found:e}");
            }
        }
        assert_eq!(three_digits(Some(f64::INFINITY)), three_digits(Some(1e40)));
        assert_eq!(read(three_digits(Some(1e-300))).unwrap(), 1e-36);
        assert!(read(three_digits(Some(1e300))).unwrap() > 9.9e35);
    }

    #[test]
    fn a_share_of_the_budget_is_kept_within_two_percent() {
        assert_eq!((share(None), share(Some(0.0)), share(Some(1.0)), share(Some(1e-9))), (0, 1, 255, 2));
        for used in [0.0002, 0.01, 0.31, 0.99] {
            let found = 10f64.powf((f64::from(share(Some(used))) - 255.0) / 253.0 * 4.0);
            assert!((found / used - 1.0).abs() < 0.02, "{used} is read as {found}");
        }
    }

    #[test]
    fn neighbours_that_are_alike_take_two_bytes() {
        assert_eq!(runs([7, 7, 7, 300]), [7, 3, 0xac, 2, 1]);
        assert_eq!(runs(vec![1; 100_000]).len(), 4);
        assert_eq!(runs([]), Vec::<u8>::new());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let (shared, rests) = fronts(["a/𝄞é", "a/𝄞è", "a/𝄟", "b"]);
        assert_eq!(shared, [0, 4, 2, 0]);
        assert_eq!(rests, "a/𝄞é\nè\n𝄟\nb");
    }
}
