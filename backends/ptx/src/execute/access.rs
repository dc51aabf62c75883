//! Loads and stores.

use crate::fault::{FaultKind, Problem};
use crate::instruction::{Access, Register, Space};
use crate::lanes::{Lanes, lanes_of};
use crate::memory::{BY_KERNEL, NOTHING, Purpose};
use crate::parse::VARIABLES;
use crate::race::{Conflict, Shadow, Who, instruction_of, thread_of, tick_of};
use crate::warp::{Warp, place};

use super::{Machine, WINDOW};

/// Where the bytes of an access are.
enum Place {
    Global(usize, usize),
    Shared(usize),
    Param(usize),
    Variable(usize),
}

/// One access of one lane.
#[derive(Clone, Copy)]
struct One {
    lane: usize,
    address: u64,
    bytes: usize,
    space: Space,
    at: u32,
}

impl Machine<'_> {
    pub(super) fn load(
        &mut self,
        warp: &mut Warp,
        at: u32,
        exec: u32,
        access: Access,
        to: [Option<Register>; 4],
        sign: Option<(u32, u64)>,
    ) -> Result<(), Box<Problem>> {
        let base: Lanes = *warp.read(access.base, exec, self.kernel)?;
        let bytes = access.bytes * access.count;
        for lane in lanes_of(exec) {
            let address = base[lane].wrapping_add(access.offset as u64);
            let one = One { lane, address, bytes, space: access.space, at };
            let place = self.locate(one)?;
            let mut buffer = [0; 16];
            self.check_read(warp, one, &place)?;
            let source = match place {
                Place::Global(index, offset) => &self.memory.allocations[index].bytes[offset..offset + bytes],
                Place::Shared(offset) => &self.shared[offset..offset + bytes],
                Place::Param(offset) => &self.parameters[offset..offset + bytes],
                Place::Variable(offset) => &self.module.image[offset..offset + bytes],
            };
            buffer[..bytes].copy_from_slice(source);
            for (part, to) in to[..access.count].iter().enumerate() {
                let Some(to) = *to else { continue };
                let mut word = [0; 8];
                word[..access.bytes].copy_from_slice(&buffer[part * access.bytes..(part + 1) * access.bytes]);
                let mut value = u64::from_le_bytes(word);
                if let Some((shift, mask)) = sign {
                    value = ((value << shift) as i64 >> shift) as u64 & mask;
                }
                warp.write_lane(to, lane, value);
            }
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        warp: &mut Warp,
        at: u32,
        exec: u32,
        access: Access,
        from: [Register; 4],
    ) -> Result<(), Box<Problem>> {
        let base: Lanes = *warp.read(access.base, exec, self.kernel)?;
        let bytes = access.bytes * access.count;
        for &from in &from[..access.count] {
            warp.read(from, exec, self.kernel)?;
        }
        for lane in lanes_of(exec) {
            let address = base[lane].wrapping_add(access.offset as u64);
            let mut buffer = [0; 16];
            for (part, &from) in from[..access.count].iter().enumerate() {
                let word = warp.read(from, 1 << lane, self.kernel)?[lane].to_le_bytes();
                buffer[part * access.bytes..(part + 1) * access.bytes].copy_from_slice(&word[..access.bytes]);
            }
            let one = One { lane, address, bytes, space: access.space, at };
            let place = self.locate(one)?;
            self.check_write(warp, one, &place)?;
            match place {
                Place::Global(index, offset) => {
                    let allocation = &mut self.memory.allocations[index];
                    allocation.bytes[offset..offset + bytes].copy_from_slice(&buffer[..bytes]);
                    allocation.state[offset..offset + bytes].fill(BY_KERNEL);
                }
                Place::Shared(offset) => {
                    self.shared[offset..offset + bytes].copy_from_slice(&buffer[..bytes]);
                }
                Place::Param(_) | Place::Variable(_) => {}
            }
        }
        Ok(())
    }

    /// Finds the bytes, which must all be in one place, and the address a multiple of the size.
    fn locate(&mut self, one: One) -> Result<Place, Box<Problem>> {
        let place = match one.space {
            Space::Shared => self.shared_place(one, one.address)?,
            Space::Generic if one.address >> 28 == WINDOW >> 28 => {
                self.shared_place(one, one.address - WINDOW)?
            }
            Space::Param => {
                let inside = self.kernel.parameters.iter().any(|parameter| {
                    let offset = one.address.checked_sub(parameter.offset as u64);
                    offset.is_some_and(|offset| {
                        offset.saturating_add(one.bytes as u64) <= parameter.bytes as u64
                    })
                });
                if !inside {
                    let message =
                        format!("{} bytes at offset {} are in no parameter", one.bytes, one.address as i64);
                    return Err(out(one, message));
                }
                Place::Param(one.address as usize)
            }
            _ if one.address >= VARIABLES && one.address - VARIABLES < 1 << 32 => {
                let offset = (one.address - VARIABLES) as usize;
                let inside = self.module.variables.iter().any(|variable| {
                    offset >= variable.offset
                        && offset + one.bytes <= variable.offset.saturating_add(variable.bytes)
                });
                if !inside {
                    return Err(out(one, "it is in no variable of the module".to_owned()));
                }
                Place::Variable(offset)
            }
            _ => self.global_place(one)?,
        };
        if !one.address.is_multiple_of(one.bytes as u64) {
            let message = format!("the address is not a multiple of the access's {} bytes", one.bytes);
            return Err(Problem::at(FaultKind::Misaligned, one.lane, one.address, message));
        }
        Ok(place)
    }

    #[inline]
    fn global_place(&mut self, one: One) -> Result<Place, Box<Problem>> {
        if let Some(allocation) = self.memory.allocations.get(self.last) {
            let offset = one.address.wrapping_sub(allocation.base) as usize;
            let size = allocation.bytes.len();
            if offset < size && one.bytes <= size - offset {
                return Ok(Place::Global(self.last, offset));
            }
        }
        if let Some((index, offset)) = self.memory.find(one.address, one.bytes) {
            self.last = index;
            return Ok(Place::Global(index, offset));
        }
        let (freed, message) = self.memory.place(one.address, one.bytes);
        if freed {
            return Err(Problem::at(FaultKind::UseAfterFree, one.lane, one.address, message));
        }
        Err(out(one, message))
    }

    fn shared_place(&self, one: One, offset: u64) -> Result<Place, Box<Problem>> {
        let size = self.shared.len() as u64;
        if offset < size && one.bytes as u64 <= size - offset {
            return Ok(Place::Shared(offset as usize));
        }
        let near = self.kernel.shared.iter().rev().find(|variable| variable.offset as u64 <= offset);
        let message = match near {
            Some(variable) if offset >= (variable.offset + variable.bytes) as u64 => format!(
                "{} bytes past the end of the shared `{}` ({} bytes)",
                offset - (variable.offset + variable.bytes) as u64,
                variable.name,
                variable.bytes
            ),
            _ => {
                format!("{} bytes at offset {offset} of the block's {size} bytes of shared memory", one.bytes)
            }
        };
        Err(out(one, message))
    }

    fn check_read(&mut self, warp: &Warp, one: One, place: &Place) -> Result<(), Box<Problem>> {
        let who = self.who(warp, one, place);
        let result = match *place {
            Place::Global(index, offset) => {
                let allocation = &mut self.memory.allocations[index];
                if let Some(byte) =
                    allocation.state[offset..offset + one.bytes].iter().position(|&state| state == NOTHING)
                {
                    let message =
                        format!("byte {} of `{}` was never written", offset + byte, allocation.name);
                    return Err(Problem::at(
                        FaultKind::UninitialisedMemory,
                        one.lane,
                        one.address + byte as u64,
                        message,
                    ));
                }
                if allocation.purpose == Purpose::Input {
                    return Ok(());
                }
                let size = allocation.bytes.len();
                allocation.shadow.get_or_insert_with(|| Shadow::new(size)).read(offset, one.bytes, &who)
            }
            Place::Shared(offset) => {
                if let Some(byte) = self.shadow.unwritten(offset, one.bytes, who.block) {
                    let message = format!("byte {byte} of shared memory was not written by this block");
                    let address = one.address + (byte - offset) as u64;
                    return Err(Problem::at(FaultKind::UninitialisedMemory, one.lane, address, message));
                }
                self.shadow.read(offset, one.bytes, &who)
            }
            Place::Param(_) | Place::Variable(_) => Ok(()),
        };
        result.map_err(|conflict| self.race(one, place, conflict, "reads"))
    }

    fn check_write(&mut self, warp: &Warp, one: One, place: &Place) -> Result<(), Box<Problem>> {
        let who = self.who(warp, one, place);
        let result = match *place {
            Place::Global(index, offset) => {
                let allocation = &mut self.memory.allocations[index];
                if allocation.purpose == Purpose::Input {
                    let message =
                        format!("byte {offset} of `{}` is written, which is an input", allocation.name);
                    return Err(Problem::at(FaultKind::WriteToInput, one.lane, one.address, message));
                }
                let size = allocation.bytes.len();
                allocation.shadow.get_or_insert_with(|| Shadow::new(size)).write(offset, one.bytes, &who)
            }
            Place::Shared(offset) => self.shadow.write(offset, one.bytes, &who),
            Place::Param(_) | Place::Variable(_) => {
                let message = "a variable of the module is written, which this executor does not allow";
                return Err(Problem::at(FaultKind::WriteToInput, one.lane, one.address, message));
            }
        };
        result.map_err(|conflict| self.race(one, place, conflict, "writes"))?;
        if let Place::Global(index, offset) = *place {
            let allocation = &self.memory.allocations[index];
            let written =
                allocation.state[offset..offset + one.bytes].iter().position(|&state| state == BY_KERNEL);
            if let (Purpose::Output, Some(byte)) = (allocation.purpose, written) {
                let message =
                    format!("byte {} of the output `{}` is written twice", offset + byte, allocation.name);
                return Err(Problem::at(
                    FaultKind::WrittenTwice,
                    one.lane,
                    one.address + byte as u64,
                    message,
                ));
            }
        }
        Ok(())
    }

    fn who<'w>(&self, warp: &'w Warp, one: One, place: &Place) -> Who<'w> {
        let block = self.blocks.last().copied().unwrap_or(self.began);
        Who {
            tick: self.memory.tick,
            at: one.at,
            thread: warp.number * 32 + one.lane as u32,
            // Shared memory is each block's own: what others did in theirs does not matter.
            launch: if matches!(place, Place::Shared(_)) { block } else { self.began },
            block,
            interval: self.interval,
            full: warp.full,
            known: &warp.known,
        }
    }

    fn race(&self, one: One, place_of: &Place, conflict: Conflict, does: &str) -> Box<Problem> {
        let (name, offset) = match *place_of {
            Place::Global(index, offset) => (format!("`{}`", self.memory.allocations[index].name), offset),
            Place::Shared(offset) => ("shared memory".to_owned(), offset),
            Place::Param(offset) | Place::Variable(offset) => (String::new(), offset),
        };
        let byte = conflict.byte;
        let tick = tick_of(conflict.other);
        let did = if conflict.written { "wrote" } else { "read" };
        let [x, y, z] = place(thread_of(conflict.other), self.size);
        let line = self.line(instruction_of(conflict.other) as u32);
        let current = self.blocks.last().copied().unwrap_or(0);
        let (kind, whose) = if tick < current {
            let index = self.blocks.partition_point(|&began| began <= tick).saturating_sub(1) as u32;
            let [i, j, k] = place(index, self.grid);
            (FaultKind::RaceBetweenBlocks, format!("block ({i}, {j}, {k})"))
        } else {
            (FaultKind::Race, "the same block".to_owned())
        };
        let message = format!(
            "this thread {does} byte {byte} of {name}, which thread ({x}, {y}, {z}) of {whose} {did} in PTX line \
             {line}, and nothing orders the two"
        );
        Problem::at(kind, one.lane, one.address + (byte - offset) as u64, message)
    }
}

fn out(one: One, message: String) -> Box<Problem> {
    Problem::at(FaultKind::OutOfBounds, one.lane, one.address, message)
}
