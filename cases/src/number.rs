//! Numbers as they are written in files: decimal, special, hexadecimal floats and bit patterns, without
//! silent loss.

use thiserror::Error;

use crate::DType;

/// Why a written number is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    /// The text is not a number.
    #[error("expected a number, found `{0}`")]
    NotANumber(String),
    /// The number rounds to infinity.
    #[error("`{0}` is too large for {1}: it would become infinite")]
    Overflow(String, DType),
    /// A number other than zero rounds to zero.
    #[error("`{0}` is too small for {1}: it would become zero")]
    Underflow(String, DType),
    /// A hexadecimal float has more digits than the type.
    #[error("`{0}` does not fit {1} exactly")]
    Inexact(String, DType),
    /// A bit pattern is wider than the type.
    #[error("`{0}` is not a bit pattern of {1}")]
    NotBits(String, DType),
}

impl NumberError {
    /// What would be right.
    pub fn help(&self) -> String {
        match self {
            NumberError::NotANumber(_) => {
                "numbers are written as 1.5, 1e-3, .nan, .inf or as hexadecimal floats: 0x1.8p-3".to_owned()
            }
            NumberError::Overflow(_, dtype) => {
                let largest = short(dtype.max_finite());
                format!("the largest finite {dtype} is {largest}; write .inf if infinity is meant")
            }
            NumberError::Underflow(_, dtype) => format!(
                "the smallest {dtype} above zero is {:e}; write 0 if zero is meant",
                dtype.smallest_subnormal()
            ),
            NumberError::Inexact(_, DType::I64) => "an integer is meant: 3, -1".to_owned(),
            NumberError::Inexact(_, dtype) => {
                format!(
                    "a hexadecimal float is taken as exact: {dtype} has {} significant bits",
                    dtype.precision()
                )
            }
            NumberError::NotBits(_, dtype) => {
                format!(
                    "{dtype} has {} bits: write 0x and up to {} digits",
                    dtype.size() * 8,
                    dtype.size() * 2
                )
            }
        }
    }
}

/// A number for people: with an exponent where that is shorter.
pub(crate) fn short(value: f64) -> String {
    let (plain, scientific) = (value.to_string(), format!("{value:e}"));
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// Reads a number as `f64`: see [`parse`].
///
/// # Errors
/// As [`parse`], with `f64` as the type.
pub fn parse_f64(text: &str) -> Result<f64, NumberError> {
    parse(text, DType::F64).map(f64::from_bits)
}

/// Reads a number and rounds it once, to nearest, to `dtype`; gives the bit pattern. Decimal numbers, `.nan`,
/// `.inf` and hexadecimal floats (`0x1.8p-3`, which must fit exactly) are understood.
///
/// # Errors
/// When the text is not a number, and when the number would become infinite or zero.
pub fn parse(text: &str, dtype: DType) -> Result<u64, NumberError> {
    if dtype == DType::I64 {
        let integer: Result<i64, _> = text.parse();
        return integer.map(|value| value as u64).map_err(|_| NumberError::Inexact(text.to_owned(), dtype));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    let special = match unsigned {
        ".nan" | ".NaN" | ".NAN" | "nan" | "NaN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "inf" => Some(f64::INFINITY),
        _ => None,
    };
    if let Some(value) = special {
        return Ok(dtype.bits_of(if negative { -value } else { value }));
    }
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        return parse_hex(text, dtype);
    }
    let looks_decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = match text.parse::<f64>() {
        Ok(value) if looks_decimal => value,
        _ => return Err(NumberError::NotANumber(text.to_owned())),
    };
    let bits = match dtype {
        // From the digits straight to f32: through f64 would round twice.
        DType::F32 => u64::from(text.parse::<f32>().unwrap_or(f32::NAN).to_bits()),
        DType::F64 => value.to_bits(),
        _ => dtype.bits_of(off_the_tie(text, value, dtype)),
    };
    let rounded = dtype.value_of(bits);
    if rounded.is_infinite() {
        return Err(NumberError::Overflow(text.to_owned(), dtype));
    }
    if rounded == 0.0 && has_nonzero_digit(unsigned) {
        return Err(NumberError::Underflow(text.to_owned(), dtype));
    }
    Ok(bits)
}

/// Reads a bit pattern (`0x3f80`).
///
/// # Errors
/// When the text is not hexadecimal or has more bits than `dtype`.
pub fn parse_bits(text: &str, dtype: DType) -> Result<u64, NumberError> {
    let refused = || NumberError::NotBits(text.to_owned(), dtype);
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or_else(refused)?;
    let bits = u64::from_str_radix(digits, 16).map_err(|_| refused())?;
    let width = dtype.size() * 8;
    if width < 64 && bits >> width != 0 { Err(refused()) } else { Ok(bits) }
}

fn parse_hex(text: &str, dtype: DType) -> Result<u64, NumberError> {
    let with_exponent = if text.contains(['p', 'P']) { text.to_owned() } else { format!("{text}p0") };
    let value = hexf_parse::parse_hexf64(&with_exponent, false).map_err(|error| {
        if error.to_string().contains("fit") {
            NumberError::Inexact(text.to_owned(), dtype)
        } else {
            NumberError::NotANumber(text.to_owned())
        }
    })?;
    let bits = dtype.bits_of(value);
    if dtype.value_of(bits) == value { Ok(bits) } else { Err(NumberError::Inexact(text.to_owned(), dtype)) }
}

fn has_nonzero_digit(unsigned: &str) -> bool {
    unsigned.split(['e', 'E']).next().unwrap_or("").bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

/// `value` is `text` rounded to f64. Where that lies exactly half way between two numbers of the narrower
/// type, although `text` does not, it is moved to the side of `text`, so that the second rounding goes the
/// right way.
fn off_the_tie(text: &str, value: f64, dtype: DType) -> f64 {
    let (down, up) = (dtype.round(value.next_down()), dtype.round(value.next_up()));
    if down == up || dtype.round(value) == value {
        return value;
    }
    match digits_of(text).cmp(&digits_of(&format!("{value:.1074}"))) {
        std::cmp::Ordering::Equal => value,
        order => {
            let larger_magnitude = order.is_gt();
            if larger_magnitude == (value > 0.0) { value.next_up() } else { value.next_down() }
        }
    }
}

/// The magnitude of a decimal literal as (decimal exponent, digits without leading or trailing zeros), which
/// compares like the magnitudes themselves.
fn digits_of(text: &str) -> (i64, String) {
    let unsigned = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.bytes().take_while(|&byte| byte == b'0').count();
    let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
    if digits.is_empty() {
        return (i64::MIN, digits);
    }
    let exponent: i64 = exponent.parse().unwrap_or(0);
    (exponent + whole.len() as i64 - leading as i64, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_rounded_once() {
        // Through f64 this would be 0x3f800002.
        assert_eq!(parse("1.00000017881393432617187499", DType::F32), Ok(0x3f80_0001));
        // 1 + 2^-11 is the tie between 1 and the next f16; the second text is just above it.
        assert_eq!(parse("1.00048828125", DType::F16), Ok(0x3c00));
        assert_eq!(parse("1.0004882812500000000000001", DType::F16), Ok(0x3c01));
        assert_eq!(parse("-1.0004882812500000000000001", DType::F16), Ok(0xbc01));
        assert_eq!(parse("100.04882812500000000000001e-2", DType::F16), Ok(0x3c01));
        // 1 + 3·2^-11 ties to even upwards; just below it stays down.
        assert_eq!(parse("1.00146484375", DType::F16), Ok(0x3c02));
        assert_eq!(parse("1.0014648437499999999999999", DType::F16), Ok(0x3c01));
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        assert!(matches!(parse("1e39", DType::F32), Err(NumberError::Overflow(..))));
        assert!(matches!(parse("1e-46", DType::F32), Err(NumberError::Underflow(..))));
        assert!(matches!(parse("65520", DType::F16), Err(NumberError::Overflow(..))));
        assert!(matches!(parse("1e400", DType::F64), Err(NumberError::Overflow(..))));
        assert!(matches!(parse("1e-400", DType::F64), Err(NumberError::Underflow(..))));
        assert!(matches!(parse("0x1.0001p0", DType::F16), Err(NumberError::Inexact(..))));
        assert!(matches!(parse("one", DType::F64), Err(NumberError::NotANumber(..))));
        assert!(matches!(parse("infinity", DType::F64), Err(NumberError::NotANumber(..))));
        assert_eq!(parse("0e-999", DType::F32), Ok(0));
    }

    #[test]
    fn special_and_hexadecimal_numbers() {
        assert_eq!(parse("-.inf", DType::F32), Ok(u64::from(f32::NEG_INFINITY.to_bits())));
        assert_eq!(parse("-0.0", DType::F16), Ok(0x8000));
        assert_eq!(parse("0x1.8p-3", DType::F32), Ok(u64::from(0.1875f32.to_bits())));
        assert_eq!(parse("-0x1.8p-3", DType::Bf16), Ok(0xbe40));
        assert!(parse_f64(".nan").is_ok_and(f64::is_nan));
        assert_eq!(parse_bits("0x3f80", DType::Bf16), Ok(0x3f80));
        assert!(parse_bits("0x13f80", DType::Bf16).is_err());
    }
}
