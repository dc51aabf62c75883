//! Kernels' arguments: one C structure, by value, as its bytes.

use crate::launch::Buffer;
use crate::plan::Divisor;

/// The bytes of a C structure, field after field, each at the next multiple of its own size, as a C++ compiler lays it out.
#[derive(Debug, Clone, Default)]
pub struct Structure {
    bytes: Vec<u8>,
}

impl Structure {
    /// Nothing yet.
    pub fn new() -> Self {
        Structure::default()
    }

    fn field<const SIZE: usize>(mut self, bytes: [u8; SIZE]) -> Self {
        let aligned = self.bytes.len().next_multiple_of(SIZE);
        self.bytes.resize(aligned, 0);
        self.bytes.extend_from_slice(&bytes);
        self
    }

    /// `u64`.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.field(value.to_le_bytes())
    }

    /// `u32`.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.field(value.to_le_bytes())
    }

    /// `double`.
    #[must_use]
    pub fn f64(self, value: f64) -> Self {
        self.field(value.to_le_bytes())
    }

    /// A pointer; null where there is nothing.
    #[must_use]
    pub fn pointer(self, to: Option<&Buffer>) -> Self {
        self.u64(to.map_or(0, |buffer| buffer.address))
    }

    /// `Divisor`.
    #[must_use]
    pub fn divisor(self, by: Divisor) -> Self {
        self.u64(by.value).u64(by.reciprocal)
    }

    /// The bytes. All structures here end at a multiple of 8, and need no padding behind.
    pub fn into_bytes(self) -> Vec<u8> {
        debug_assert_eq!(self.bytes.len() % 8, 0, "a structure of 8-byte alignment");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_aligned_as_in_c() {
        let bytes = Structure::new().u32(1).u64(2).u32(3).u32(4).into_bytes();
        assert_eq!(bytes.len(), 24);
        assert_eq!((bytes[0], bytes[8], bytes[16], bytes[20]), (1, 2, 3, 4));
    }
}
