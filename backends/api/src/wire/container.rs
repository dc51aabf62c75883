//! What is in a frame: the layout of a safetensors file. The length of a header (8 bytes, little-endian), the header
//! as JSON, and the bytes of the tensors, one after the other in the order of the header, without gaps.

use std::fmt;

use bn_cases::{DType, Tensor};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{MAX_FRAME_BYTES, canonical};

/// The entry of the header that is no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// The longest header that is read, in bytes: that of safetensors.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// What is wrong with the layout of a frame.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// The frame is over before its header is.
    #[error("its header of {header} bytes does not fit a frame of {frame}")]
    Header {
        /// The length that the header claims to have.
        header: u64,
        /// That of the frame.
        frame: usize,
    },
    /// The header is not the JSON that it should be.
    #[error("in its header: {0}")]
    Json(#[from] serde_json::Error),
    /// A tensor's bytes are not where they should be.
    #[error("the bytes of tensor `{name}` are {begin} to {end}, where {due} to at most {length} are due")]
    Offsets {
        /// The tensor.
        name: String,
        /// Where its bytes begin.
        begin: u64,
        /// Where they end.
        end: u64,
        /// Where those of the one before ended.
        due: u64,
        /// Where those of all tensors end.
        length: u64,
    },
    /// A tensor has more or fewer bytes than its shape says.
    #[error("{bytes} bytes are no {dtype} tensor of shape {shape:?}, as `{name}` is said to be")]
    Size {
        /// The tensor.
        name: String,
        /// Its bytes.
        bytes: u64,
        /// Its type.
        dtype: DType,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Bytes that belong to no tensor.
    #[error("after the last tensor {0} bytes are left over")]
    LeftOver(u64),
}

/// Puts tensors, and a message that speaks of them, into a frame.
#[derive(Default)]
pub(super) struct Packer {
    entries: Vec<u8>,
    data: Vec<u8>,
}

impl Packer {
    /// Adds a tensor under a name that no other has.
    pub fn add(&mut self, name: &str, tensor: &Tensor) {
        let begin = self.data.len();
        self.data.extend_from_slice(tensor.bytes());
        let end = self.data.len();
        self.entries.push(b',');
        put(&mut self.entries, name);
        self.entries.extend_from_slice(b":{\"dtype\":\"");
        self.entries.extend_from_slice(safetensors_name(tensor.dtype()).as_bytes());
        self.entries.extend_from_slice(b"\",\"shape\":");
        put(&mut self.entries, tensor.shape());
        self.entries.extend_from_slice(b",\"data_offsets\":");
        put(&mut self.entries, &[begin, end]);
        self.entries.push(b'}');
    }

    /// The frame, its length in front.
    ///
    /// # Errors
    /// How many bytes it would have, where those are too many.
    pub fn finish(self, message: &str) -> Result<Vec<u8>, u64> {
        let mut metadata = format!("{{\"{METADATA}\":{{\"bncheck\":").into_bytes();
        put(&mut metadata, message);
        metadata.push(b'}');
        // Behind the entries a brace, and then the tensors begin at a multiple of 8.
        let header = (metadata.len() + self.entries.len() + 1).next_multiple_of(8);
        let length = 8 + header + self.data.len();
        let limited = u32::try_from(length).ok().filter(|length| *length <= MAX_FRAME_BYTES);
        let limited = limited.ok_or(length as u64)?;
        let mut frame = Vec::with_capacity(4 + length);
        frame.extend_from_slice(&limited.to_le_bytes());
        frame.extend_from_slice(&(header as u64).to_le_bytes());
        frame.extend_from_slice(&metadata);
        frame.extend_from_slice(&self.entries);
        frame.push(b'}');
        frame.resize(4 + 8 + header, b' ');
        frame.extend_from_slice(&self.data);
        Ok(frame)
    }
}

/// Adds a text, or numbers, as JSON.
fn put(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Neither a text nor numbers, written to memory, fail.
    let _ = serde_json::to_writer(json, value);
}

/// What was in a frame.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// The message.
    pub message: String,
    /// The tensors, in their order.
    pub tensors: Vec<(String, Tensor)>,
}

/// Takes apart a frame, which is given without its length.
///
/// # Errors
/// When it is not laid out as it should be.
pub(super) fn unpack(frame: &[u8]) -> Result<Unpacked, ContainerError> {
    let claim = frame.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
    let no_header = || ContainerError::Header { header: claim, frame: frame.len() };
    let fits = |length: &usize| claim <= MAX_HEADER_BYTES && *length <= frame.len().saturating_sub(8);
    let length = usize::try_from(claim).ok().filter(fits).ok_or_else(no_header)?;
    let header = &frame[8..8 + length];
    let canonical = canonical::read(header).and_then(|mut header| {
        let ordered = put_in_order(&mut header.entries);
        ordered.ok().map(|()| header)
    });
    let header: Header = canonical.map_or_else(|| serde_json::from_slice(header), Ok)?;
    let data = &frame[8 + length..];
    let mut due = 0;
    let mut tensors = Vec::with_capacity(header.entries.len());
    for (name, Entry { dtype, shape, data_offsets: (begin, end) }) in header.entries {
        let bytes = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
        let bytes = bytes.filter(|_| begin == due).and_then(|(begin, end)| data.get(begin..end));
        let Some(bytes) = bytes else {
            return Err(ContainerError::Offsets { name, begin, end, due, length: data.len() as u64 });
        };
        let dtype = dtype.into();
        let Some(tensor) = Tensor::from_bytes(dtype, shape.clone(), bytes.to_vec()) else {
            return Err(ContainerError::Size { name, bytes: end - begin, dtype, shape });
        };
        tensors.push((name, tensor));
        due = end;
    }
    match data.len() as u64 - due {
        0 => Ok(Unpacked { message: header.message, tensors }),
        left_over => Err(ContainerError::LeftOver(left_over)),
    }
}

/// The types that safetensors has of ours, by its names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Named {
    F16,
    Bf16,
    F32,
    F64,
    I64,
}

impl From<Named> for DType {
    fn from(named: Named) -> Self {
        match named {
            Named::F16 => DType::F16,
            Named::Bf16 => DType::Bf16,
            Named::F32 => DType::F32,
            Named::F64 => DType::F64,
            Named::I64 => DType::I64,
        }
    }
}

fn safetensors_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "F16",
        DType::Bf16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I64 => "I64",
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub dtype: Named,
    pub shape: Vec<usize>,
    pub data_offsets: (u64, u64),
}

#[derive(Deserialize)]
struct Metadata {
    bncheck: String,
}

/// The header, its tensors in the order in which their bytes lie.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub message: String,
    pub entries: Vec<(String, Entry)>,
}

/// The order of the keys of an object may be lost; that of the bytes is what counts.
///
/// # Errors
/// The name of a tensor that stands there twice.
pub(super) fn put_in_order(entries: &mut [(String, Entry)]) -> Result<(), String> {
    let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(pair[0].to_owned());
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    Ok(())
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors and `__metadata__`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut message = None;
        let mut entries: Vec<(String, Entry)> = Vec::new();
        let twice = |name: &str| de::Error::custom(format!("`{name}` stands there twice"));
        while let Some(name) = map.next_key::<String>()? {
            if name != METADATA {
                entries.push((name, map.next_value()?));
            } else if message.replace(map.next_value::<Metadata>()?.bncheck).is_some() {
                return Err(twice(METADATA));
            }
        }
        put_in_order(&mut entries).map_err(|name| twice(&name))?;
        let message = message.ok_or_else(|| de::Error::missing_field(METADATA))?;
        Ok(Header { message, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn refused(header: &str, data: &[u8]) -> String {
        unpack(&frame(header, data)).expect_err("it is refused").to_string()
    }

    const META: &str = r#""__metadata__":{"bncheck":"hi"}"#;

    #[test]
    fn what_is_packed_comes_out_with_every_bit_and_in_order() {
        let tensors = [
            ("z", Tensor::from_bit_patterns(DType::F32, &[3], [0x7fc0_1234, 0x8000_0000, 1])),
            ("a \"quoted\"\n name", Tensor::from_bit_patterns(DType::Bf16, &[1, 1], [0x7f81])),
            ("none", Tensor::from_bit_patterns(DType::F64, &[0, 4], [])),
            ("scalar", Tensor::from_bit_patterns(DType::I64, &[], [u64::MAX])),
        ];
        let mut packer = Packer::default();
        for (name, tensor) in &tensors {
            packer.add(name, tensor);
        }
        let frame = packer.finish("a \"message\"").unwrap();
        let unpacked = unpack(&frame[4..]).unwrap();
        assert_eq!(unpacked.message, "a \"message\"");
        assert_eq!(unpacked.tensors, tensors.map(|(name, tensor)| (name.to_owned(), tensor)));
    }

    #[test]
    fn tensors_may_stand_in_any_order_and_beside_other_metadata() {
        let header = r#"{"b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},
            "a":{"shape":[1],"data_offsets":[0,4],"dtype":"F32"},
            "__metadata__":{"format":"pt","bncheck":"hi"}}   "#;
        let names: Vec<String> =
            unpack(&frame(header, &[0; 6])).unwrap().tensors.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_header_that_does_not_fit_is_refused() {
        for bytes in [&[][..], &[0; 7], &[3, 0, 0, 0, 0, 0, 0, 0, b'{', b'}'], &[255; 20]] {
            assert!(matches!(unpack(bytes), Err(ContainerError::Header { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn a_header_that_is_no_header_is_refused_with_what_is_wrong() {
        assert!(refused("[]", &[]).contains("an object of tensors"));
        assert!(refused("{}", &[]).contains("missing field `__metadata__`"));
        assert!(refused("{", &[]).contains("EOF"));
        assert!(refused(r#"{"__metadata__":{}}"#, &[]).contains("missing field `bncheck`"));
        let twice = r#"{"__metadata__":{"bncheck":"hi","bncheck":"ho"}}"#;
        assert!(refused(twice, &[]).contains("duplicate field `bncheck`"));
        let other = format!(r#"{{{META},"a":{{"dtype":"F8","shape":[],"data_offsets":[0,1]}}}}"#);
        assert!(refused(&other, &[0]).contains("unknown variant `F8`"));
        let more =
            format!(r#"{{{META},"a":{{"dtype":"F16","shape":[],"data_offsets":[0,2],"strides":[]}}}}"#);
        assert!(refused(&more, &[0, 0]).contains("unknown field `strides`"));
        let negative = format!(r#"{{{META},"a":{{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}}}}"#);
        assert!(refused(&negative, &[0, 0]).contains("in its header: invalid value"));
    }

    #[test]
    fn a_tensor_that_stands_there_twice_is_refused() {
        let one = r#""a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}"#;
        assert!(refused(&format!("{{{META},{one},{one}}}"), &[0, 0]).contains("`a` stands there twice"));
        assert!(refused(&format!("{{{META},{META}}}"), &[]).contains("`__metadata__` stands there twice"));
    }

    #[test]
    fn offsets_that_overlap_leave_gaps_or_go_beyond_the_end_are_refused() {
        let pair = |a: &str, b: &str| {
            let tensor = |offsets| format!(r#"{{"dtype":"F16","shape":[1],"data_offsets":{offsets}}}"#);
            refused(&format!(r#"{{{META},"a":{},"b":{}}}"#, tensor(a), tensor(b)), &[0; 6])
        };
        for (a, b) in [
            ("[0,2]", "[1,3]"),
            ("[0,2]", "[0,2]"),
            ("[0,2]", "[4,6]"),
            ("[2,4]", "[4,6]"),
            ("[0,2]", "[2,8]"),
            ("[0,2]", "[2,18446744073709551615]"),
            ("[2,0]", "[2,4]"),
        ] {
            let text = pair(a, b);
            assert!(text.starts_with("the bytes of tensor `"), "{a} {b}: {text}");
        }
        assert_eq!(pair("[0,2]", "[2,4]"), "after the last tensor 2 bytes are left over");
    }

    #[test]
    fn bytes_that_do_not_fit_the_shape_are_refused() {
        for shape in ["[2]", "[1,0]", "[18446744073709551615,3]"] {
            let header = format!(r#"{{{META},"a":{{"dtype":"F16","shape":{shape},"data_offsets":[0,2]}}}}"#);
            let text = refused(&header, &[0, 0]);
            assert!(text.starts_with("2 bytes are no f16 tensor of shape ["), "{text}");
        }
    }
}
