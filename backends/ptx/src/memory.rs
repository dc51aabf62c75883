//! The device's global memory.

use thiserror::Error;

use crate::race::Shadow;

/// What memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Kernels read it and must not write it.
    Input,
    /// Each byte may be written once by kernels, over all launches since it was allocated.
    Output,
    /// Kernels may do what they like.
    Scratch,
}

/// There is not enough memory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("out of memory: {bytes} bytes are asked for `{name}`, {free} of {capacity} are free")]
pub struct OutOfMemory {
    /// What is asked for.
    pub bytes: usize,
    /// For what.
    pub name: String,
    /// What is free, in bytes.
    pub free: usize,
    /// What there is, in bytes.
    pub capacity: usize,
}

/// The host does something to memory that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// No allocation holds the whole range.
    #[error("{bytes} bytes at {address:#x} are not in one allocation: {place}")]
    Outside {
        /// The first address.
        address: u64,
        /// How many bytes.
        bytes: usize,
        /// What is near.
        place: String,
    },
    /// Bytes are read back that hold nothing.
    #[error("`{name}`: {count} of {bytes} bytes read were never written, the first at offset {offset}")]
    NeverWritten {
        /// The allocation.
        name: String,
        /// The first such byte, from the allocation's start.
        offset: usize,
        /// How many there are.
        count: usize,
        /// How many were read.
        bytes: usize,
    },
    /// No allocation begins there.
    #[error("nothing is allocated at {0:#x}")]
    NotAllocated(u64),
}

/// What a byte of an allocation holds.
pub(crate) const NOTHING: u8 = 0;
pub(crate) const BY_HOST: u8 = 1;
pub(crate) const BY_KERNEL: u8 = 2;

/// An allocation.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub base: u64,
    pub bytes: Vec<u8>,
    /// Who wrote each byte.
    pub state: Vec<u8>,
    pub purpose: Purpose,
    pub name: String,
    /// Of inputs there is none.
    pub shadow: Option<Shadow>,
}

/// Where an allocation was that was given back.
#[derive(Debug)]
struct Freed {
    base: u64,
    bytes: usize,
    name: String,
}

/// Global memory of a device. Addresses are not used a second time.
#[derive(Debug)]
pub struct Memory {
    capacity: usize,
    used: usize,
    next: u64,
    /// In the order of their addresses.
    pub(crate) allocations: Vec<Allocation>,
    freed: Vec<Freed>,
    /// Counts launches, blocks, barriers and synchronisations.
    pub(crate) tick: u32,
}

/// Where addresses begin.
const BASE: u64 = 0x7f_0000_0000;
/// What lies between allocations at least.
const GUARD: u64 = 4096;
const ALIGN: u64 = 256;
/// What memory holds that nobody wrote.
const POISON: u8 = 0xa5;
/// How many freed allocations are remembered.
const REMEMBERED: usize = 4096;

impl Memory {
    /// So many bytes, all of them free.
    pub fn new(capacity: usize) -> Memory {
        Memory { capacity, used: 0, next: BASE, allocations: Vec::new(), freed: Vec::new(), tick: 0 }
    }

    /// Memory that holds nothing yet, aligned to 256 bytes. The name appears in messages.
    ///
    /// # Errors
    /// When there is not enough.
    pub fn allocate(&mut self, bytes: usize, purpose: Purpose, name: &str) -> Result<u64, OutOfMemory> {
        if bytes > self.free_bytes() {
            let (free, capacity) = (self.free_bytes(), self.capacity);
            return Err(OutOfMemory { bytes, name: name.to_owned(), free, capacity });
        }
        let base = self.next;
        self.next = (base + bytes as u64 + GUARD).next_multiple_of(ALIGN);
        self.used += bytes;
        self.allocations.push(Allocation {
            base,
            bytes: vec![POISON; bytes],
            state: vec![NOTHING; bytes],
            purpose,
            name: name.to_owned(),
            shadow: None,
        });
        Ok(base)
    }

    /// Gives an allocation back.
    ///
    /// # Errors
    /// When none begins at the address.
    pub fn free(&mut self, address: u64) -> Result<(), MemoryError> {
        let index = self
            .allocations
            .binary_search_by_key(&address, |allocation| allocation.base)
            .map_err(|_| MemoryError::NotAllocated(address))?;
        let allocation = self.allocations.remove(index);
        self.used -= allocation.bytes.len();
        if self.freed.len() == REMEMBERED {
            self.freed.remove(0);
        }
        self.freed.push(Freed { base: address, bytes: allocation.bytes.len(), name: allocation.name });
        Ok(())
    }

    /// Copies from the host.
    ///
    /// # Errors
    /// When no allocation holds the range.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let (index, offset) = self.range(address, bytes.len())?;
        let allocation = &mut self.allocations[index];
        allocation.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        allocation.state[offset..offset + bytes.len()].fill(BY_HOST);
        Ok(())
    }

    /// Copies to the host.
    ///
    /// # Errors
    /// When no allocation holds the range, or a byte of it was never written.
    pub fn read(&self, address: u64, bytes: usize) -> Result<Vec<u8>, MemoryError> {
        let (index, offset) = self.range(address, bytes)?;
        let allocation = &self.allocations[index];
        let state = &allocation.state[offset..offset + bytes];
        if let Some(first) = state.iter().position(|&state| state == NOTHING) {
            let count = bytes - state.iter().map(|&state| usize::from(state != NOTHING)).sum::<usize>();
            return Err(MemoryError::NeverWritten {
                name: allocation.name.clone(),
                offset: offset + first,
                count,
                bytes,
            });
        }
        Ok(allocation.bytes[offset..offset + bytes].to_vec())
    }

    /// Copies to the host, whether all of it was written or not.
    ///
    /// # Errors
    /// When no allocation holds the range.
    pub fn read_anyway(&self, address: u64, bytes: usize) -> Result<Vec<u8>, MemoryError> {
        let (index, offset) = self.range(address, bytes)?;
        Ok(self.allocations[index].bytes[offset..offset + bytes].to_vec())
    }

    /// Copies on the device. What was never written stays so.
    ///
    /// # Errors
    /// When no allocation holds one of the ranges.
    pub fn copy(&mut self, to: u64, from: u64, bytes: usize) -> Result<(), MemoryError> {
        let (index, offset) = self.range(from, bytes)?;
        let source = &self.allocations[index];
        let values = source.bytes[offset..offset + bytes].to_vec();
        let states: Vec<u8> =
            source.state[offset..offset + bytes].iter().map(|&state| state.min(BY_HOST)).collect();
        let (index, offset) = self.range(to, bytes)?;
        let target = &mut self.allocations[index];
        target.bytes[offset..offset + bytes].copy_from_slice(&values);
        target.state[offset..offset + bytes].copy_from_slice(&states);
        Ok(())
    }

    /// Fills with a byte.
    ///
    /// # Errors
    /// When no allocation holds the range.
    pub fn fill(&mut self, address: u64, value: u8, bytes: usize) -> Result<(), MemoryError> {
        let (index, offset) = self.range(address, bytes)?;
        let allocation = &mut self.allocations[index];
        allocation.bytes[offset..offset + bytes].fill(value);
        allocation.state[offset..offset + bytes].fill(BY_HOST);
        Ok(())
    }

    /// What is free, in bytes.
    pub fn free_bytes(&self) -> usize {
        self.capacity - self.used
    }

    /// What there is, in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The allocation that holds all of the range, and where in it.
    pub(crate) fn find(&self, address: u64, bytes: usize) -> Option<(usize, usize)> {
        let after = self.allocations.partition_point(|allocation| allocation.base <= address);
        let index = after.checked_sub(1)?;
        let offset = (address - self.allocations[index].base) as usize;
        let size = self.allocations[index].bytes.len();
        (offset <= size && bytes <= size - offset).then_some((index, offset))
    }

    fn range(&self, address: u64, bytes: usize) -> Result<(usize, usize), MemoryError> {
        self.find(address, bytes).ok_or_else(|| MemoryError::Outside {
            address,
            bytes,
            place: self.place(address, bytes).1,
        })
    }

    /// Whether an address was given back, and what lies near it, in words.
    pub(crate) fn place(&self, address: u64, bytes: usize) -> (bool, String) {
        if let Some(freed) = self
            .freed
            .iter()
            .rev()
            .find(|freed| address >= freed.base && address < freed.base + freed.bytes as u64)
        {
            let offset = address - freed.base;
            return (true, format!("byte {offset} of `{}`, which was freed", freed.name));
        }
        let after = self.allocations.partition_point(|allocation| allocation.base <= address);
        let before = after.checked_sub(1).map(|index| &self.allocations[index]);
        let next = self.allocations.get(after);
        let past = before.map(|allocation| {
            address
                - allocation.base
                - allocation.bytes.len().min((address - allocation.base) as usize) as u64
        });
        let ahead = next.map(|allocation| allocation.base - address);
        let text = match (before, past, next, ahead) {
            (_, past, Some(next), Some(ahead)) if past.is_none_or(|past| ahead < past) => {
                format!("{ahead} bytes before the start of `{}` ({} bytes)", next.name, next.bytes.len())
            }
            (Some(before), Some(past), _, _) => {
                let size = before.bytes.len();
                let offset = address - before.base;
                if offset < size as u64 {
                    format!(
                        "{bytes} bytes from byte {offset} of `{}` ({size} bytes) reach past its end",
                        before.name
                    )
                } else {
                    format!("{past} bytes past the end of `{}` ({size} bytes)", before.name)
                }
            }
            _ => "nothing is allocated".to_owned(),
        };
        (false, text)
    }

    /// Ticks for a launch: begins anew, long before they run out.
    pub(crate) fn begin(&mut self) {
        if self.tick > 1 << 31 {
            for shadow in self.allocations.iter_mut().filter_map(|allocation| allocation.shadow.as_mut()) {
                shadow.clear();
            }
            self.tick = 0;
        }
        self.tick += 1;
    }
}
