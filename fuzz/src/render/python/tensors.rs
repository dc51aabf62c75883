//! Tensors: a literal where it is short, the bits where it is not.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bn_api::{DType, Layout, Tensor};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::text::{float, list, tuple};

/// The most elements that are written as numbers.
const WRITTEN: usize = 64;

/// The columns of a list that stands on the line of its tensor.
const ALONE: usize = 60;

/// PyTorch's name of a type.
pub(super) fn dtype(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "torch.float16",
        DType::Bf16 => "torch.bfloat16",
        DType::F32 => "torch.float32",
        DType::F64 => "torch.float64",
        DType::I64 => "torch.int64",
    }
}

/// An expression that makes a tensor, to the bit.
pub(super) fn tensor(tensor: &Tensor) -> String {
    let (shape, of) = (tensor.shape(), tensor.dtype());
    // Numbers in Python are of f64, and of f32 where nothing is said of a tensor of them.
    let said = |usual: DType| if of == usual { String::new() } else { format!(", dtype={}", dtype(of)) };
    if tensor.is_empty() {
        return format!("torch.empty({}{})", tuple(shape), said(DType::F32));
    }
    if let Some(number) = constant(tensor).filter(|_| tensor.len() > 1) {
        let usual = if of == DType::I64 { DType::I64 } else { DType::F32 };
        return format!("torch.full({}, {number}{})", tuple(shape), said(usual));
    }
    let numbers = (0..tensor.len()).map(|index| number(tensor, index));
    let numbers: Option<Vec<String>> = if tensor.len() <= WRITTEN { numbers.collect() } else { None };
    let Some(numbers) = numbers else { return bits(tensor) };
    let usual = if of == DType::I64 { DType::I64 } else { DType::F32 };
    match shape {
        [] => format!("torch.tensor({}{})", numbers[0], said(usual)),
        [_] => format!("torch.tensor({}{})", list(&numbers, WRITTEN, ALONE), said(usual)),
        shape => {
            let reshaped = tuple(shape);
            format!("torch.tensor({}{}).reshape{reshaped}", list(&numbers, group(shape), ALONE), said(usual))
        }
    }
}

/// The number that all elements are, if they are all the same to the bit.
fn constant(tensor: &Tensor) -> Option<String> {
    let first = tensor.bits(0);
    let all_alike = (1..tensor.len()).all(|index| tensor.bits(index) == first);
    if all_alike { number(tensor, 0) } else { None }
}

/// An element, if there is a number that Python reads and PyTorch rounds to its very bits.
fn number(tensor: &Tensor, index: usize) -> Option<String> {
    let (of, bits) = (tensor.dtype(), tensor.bits(index));
    if of == DType::I64 {
        return Some(bits.cast_signed().to_string());
    }
    let value = tensor.value(index);
    if value.is_nan() {
        // Any other NaN than the usual one has to be made of its bits.
        return (bits == of.bits_of(f64::NAN)).then(|| "nan".to_owned());
    }
    // The shortest number next to one of f32 is not of f64, and rounded twice.
    let short = if of == DType::F32 { float32(value as f32) } else { float(value) };
    let is_same = |text: &str| text.parse().is_ok_and(|read: f64| of.bits_of(read) == bits);
    Some([short, float(value)].into_iter().find(|text| is_same(text)).unwrap_or_else(|| float(value)))
}

fn float32(value: f32) -> String {
    format!("{value:?}")
}

/// A call of `bits`, with the bytes of the elements.
fn bits(tensor: &Tensor) -> String {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let written = packed.write_all(tensor.bytes()).and_then(|()| packed.finish());
    let bytes = written.unwrap_or_else(|error| unreachable!("memory takes what is written: {error}"));
    let text = STANDARD.encode(bytes);
    format!("bits({}, {}, \"{text}\")", dtype(tensor.dtype()), tuple(tensor.shape()))
}

/// Numbers of f64 that are compared with, those of a tensor of this shape: one where all are the same, a list where they
/// are few, else their bits.
pub(super) fn numbers(values: &[f64], shape: &[usize]) -> String {
    let group = group(shape);
    match values {
        [number] if shape.is_empty() => float(*number),
        [first, _, ..] if all_same(values, *first) => float(*first),
        values if values.len() <= WRITTEN => {
            list(&values.iter().map(|value| float(*value)).collect::<Vec<_>>(), group, 90)
        }
        values => bits(&Tensor::from_values(DType::F64, &[values.len()], values.iter().copied())),
    }
}

fn all_same(values: &[f64], first: f64) -> bool {
    values.iter().all(|value| value.to_bits() == first.to_bits() || (value.is_nan() && first.is_nan()))
}

/// How many elements belong on a line, of a tensor of this shape: those of a channel of a sample, or of a sample where each
/// channel has one.
fn group(shape: &[usize]) -> usize {
    let rest: usize = shape.get(2..).unwrap_or_default().iter().product();
    if rest > 1 { rest } else { shape.get(1).copied().unwrap_or(WRITTEN) }
}

/// The lines that make a tensor which lies in memory as asked, as the variable `name`.
pub(super) fn laid_out(name: &str, value: &Tensor, layout: Layout) -> String {
    let (shape, rank) = (value.shape(), value.shape().len());
    let made = |value: &Tensor| format!("{name} = {}\n", tensor(value));
    match layout {
        Layout::Contiguous => made(value),
        _ if rank == 0 => made(value),
        Layout::ChannelsLast => {
            let format = if rank == 5 { "channels_last_3d" } else { "channels_last" };
            made(value) + &format!("{name} = {name}.contiguous(memory_format=torch.{format})\n")
        }
        Layout::Permuted => {
            let reversed = (0..rank).rev().map(|axis| axis.to_string()).collect::<Vec<_>>().join(", ");
            made(value) + &format!("{name} = {name}.permute({reversed}).contiguous().permute({reversed})\n")
        }
        Layout::Sliced => {
            let larger: Vec<usize> = shape.iter().map(|size| size + 2).collect();
            let around = if value.dtype().is_float() { "nan" } else { "0" };
            let window = vec!["1:-1"; rank].join(", ");
            made(value)
                + &format!("around = torch.full({}, {around}, dtype={name}.dtype)\n", tuple(&larger))
                + &format!("around[{window}] = {name}\n{name} = around[{window}]\n")
        }
        Layout::Expanded if shape[0] == 0 => made(value),
        Layout::Expanded => {
            let sample = value.len() / shape[0];
            let bits = (0..sample).map(|index| value.bits(index));
            let first = [&[1], &shape[1..]].concat();
            let first = Tensor::from_bit_patterns(value.dtype(), &first, bits);
            made(&first) + &format!("{name} = {name}.expand{}\n", tuple(shape))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dtype: DType, values: &[f64]) -> String {
        tensor(&Tensor::from_values(dtype, &[values.len()], values.iter().copied()))
    }

    #[test]
    fn numbers_are_as_short_as_their_bits_allow() {
        assert_eq!(of(DType::F32, &[0.1, -0.0, 3.0]), "torch.tensor([0.1, -0.0, 3.0])");
        assert_eq!(of(DType::F64, &[0.1, 2.0]), "torch.tensor([0.1, 2.0], dtype=torch.float64)");
        assert_eq!(
            of(DType::Bf16, &[0.1, f64::INFINITY]),
            "torch.tensor([0.10009765625, inf], dtype=torch.bfloat16)"
        );
        assert_eq!(of(DType::F32, &[2.5; 9]), "torch.full((9,), 2.5)");
        assert_eq!(of(DType::F16, &[]), "torch.empty((0,), dtype=torch.float16)");
    }

    #[test]
    fn every_number_of_f32_is_read_as_its_bits() {
        // Around the ends of the range, and spread over it.
        let spread = (0..100_000u32).map(|n| n.wrapping_mul(0x9e37_79b9));
        let ends = (0..2000).flat_map(|n| [n, 0x7f80_0000 - n, 0x0080_0000 - 1000 + n, 0x8000_0000 | n]);
        for bits in spread.chain(ends) {
            let tensor = Tensor::from_bit_patterns(DType::F32, &[], [u64::from(bits)]);
            if let Some(text) = number(&tensor, 0).filter(|text| text != "nan") {
                let read: f64 = text.parse().expect("a number");
                assert_eq!((read as f32).to_bits(), bits, "{text}");
            }
        }
    }

    #[test]
    fn a_nan_with_bits_of_its_own_keeps_them() {
        let odd = Tensor::from_bit_patterns(DType::F32, &[2], [0xffc0_0001, 0x3f80_0000]);
        assert_eq!(tensor(&odd), "bits(torch.float32, (2,), \"eNpjZDjwn4GhwR4ACsoCgA==\")");
        assert_eq!(of(DType::F32, &[f64::NAN, 1.0]), "torch.tensor([nan, 1.0])");
    }

    #[test]
    fn large_tensors_are_their_bits() {
        let values: Vec<f64> = (0..65).map(f64::from).collect();
        assert!(of(DType::F32, &values).starts_with("bits(torch.float32, (65,), \"eN"));
        assert!(numbers(&values, &[65]).starts_with("bits(torch.float64, (65,), \"eN"));
        assert_eq!(numbers(&[0.0; 99], &[99]), "0.0");
        assert_eq!(numbers(&[0.0], &[1]), "[0.0]");
        assert_eq!(numbers(&[3.0], &[]), "3.0");
    }

    #[test]
    fn one_sample_that_stands_for_all_is_written_once() {
        let value = Tensor::from_values(DType::F32, &[3, 2], [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(
            laid_out("x", &value, Layout::Expanded),
            "x = torch.tensor([1.0, 2.0]).reshape(1, 2)\nx = x.expand(3, 2)\n"
        );
        assert_eq!(
            laid_out("x", &value, Layout::Permuted).lines().nth(1),
            Some("x = x.permute(1, 0).contiguous().permute(1, 0)")
        );
    }
}
