//! YAML with places: a tree whose every node knows where it stands in the file, and a serde deserializer
//! over that tree.
//!
//! Typed structs are not read straight from the file for three reasons. A case is merged from defaults, its
//! own fields and one choice per matrix axis before it has a type; several mistakes in a file are all
//! reported, where serde stops at the first; and a number must be rounded once, to the case's own dtype,
//! from the digits in the file.

mod decode;
mod node;
mod read;

pub(crate) use decode::read_again;
pub use decode::{Literal, decode};
pub use node::{Entry, Kind, Node};
pub use read::{MAX_FILE_BYTES, parse, read_source};
