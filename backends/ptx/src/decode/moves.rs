//! Moves, conversions, loads and stores.

use crate::arithmetic;
use crate::convert;
use crate::execute::WINDOW;
use crate::instruction::{Access, Logic, Op, Register, Space, Type, ZERO};
use crate::lanes::lane;
use crate::syntax::Operand;

use super::{Decoded, Names, hints, width};

impl Names<'_> {
    pub(super) fn convert(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let ([before @ .., to_type, from_type], [to, from]) = (modifiers, operands) else { return Ok(None) };
        let (Some(to_type), Some(from_type)) = (Type::named(to_type), Type::named(from_type)) else {
            return Ok(None);
        };
        let Some((how, quick)) = convert::conversion(to_type, from_type, before) else { return Ok(None) };
        let from = self.value_in(from, from_type, !from_type.is_float())?;
        let (found, register) = self.target(to)?;
        if found.bytes() < to_type.bytes() || to_type.is_float() && found.bytes() != to_type.bytes() {
            return Err(width(to, found.bytes(), to_type.bytes()));
        }
        let mask = if found.bytes() == 8 { u64::MAX } else { (1 << (found.bytes() * 8)) - 1 };
        Ok(Some(match quick {
            Some(run) if found.bytes() == to_type.bytes() => {
                Op::Map { run, to: register, from: [from, ZERO, ZERO] }
            }
            _ => Op::Convert { how, to: register, from, mask },
        }))
    }

    pub(super) fn mov(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let ([of], [to, from]) = (modifiers, operands) else { return Ok(None) };
        let Some(of) = Type::named(of) else { return Ok(None) };
        if of == Type::Pred {
            let a = self.condition(from)?;
            return Ok(Some(Op::Logic { logic: Logic::And, to: self.predicate_of(to)?, from: [a, a] }));
        }
        if let Operand::Vector(parts) = from {
            let (count, bytes) = split(of, parts.len())?;
            let mut registers = [ZERO; 4];
            for (register, part) in registers.iter_mut().zip(parts) {
                *register = self.value(part, bits_of(bytes))?;
            }
            let to = self.exact(to, of.bytes())?;
            return Ok(Some(Op::Pack { to, from: registers, count, bits: bytes as u32 * 8 }));
        }
        if let Operand::Vector(parts) = to {
            let (count, bytes) = split(of, parts.len())?;
            let to = self.targets(parts, bytes, true)?;
            let from = self.value(from, of)?;
            return Ok(Some(Op::Unpack { to, count, bits: bytes as u32 * 8, from }));
        }
        if of.bytes() < 2 {
            return Ok(None);
        }
        let to = self.exact(to, of.bytes())?;
        let from = [self.value(from, of)?, ZERO, ZERO];
        Ok(Some(Op::Map { run: arithmetic::copy(), to, from }))
    }

    /// Registers that are written together; `_` where nothing is wanted.
    pub(super) fn targets(
        &self,
        parts: &[Operand],
        bytes: usize,
        exact: bool,
    ) -> Decoded<[Option<Register>; 4]> {
        let mut registers = [None; 4];
        if parts.len() > registers.len() {
            return Err("there are too many registers".to_owned());
        }
        for (register, part) in registers.iter_mut().zip(parts) {
            if matches!(part, Operand::Name(name) if name == "_") {
                continue;
            }
            let (found, number) = self.target(part)?;
            if found.bytes() < bytes || exact && found.bytes() != bytes {
                return Err(width(part, found.bytes(), bytes));
            }
            *register = Some(number);
        }
        Ok(registers)
    }

    pub(super) fn cvta(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let [to, from] = operands else { return Ok(None) };
        let run = match modifiers {
            ["to", "global", "u64"] | ["global", "u64"] => arithmetic::copy(),
            ["shared", "u64"] => lane!(|a, _, _| a.wrapping_add(WINDOW)),
            ["to", "shared", "u64"] => lane!(|a, _, _| a.wrapping_sub(WINDOW)),
            _ => return Ok(None),
        };
        self.map(run, Type::B64, &[Type::B64], &[to.clone(), from.clone()])
    }

    /// Space, type and count of `ld` and `st`.
    pub(super) fn access(
        &mut self,
        modifiers: &[&str],
        operand: &Operand,
    ) -> Decoded<Option<(Access, Type)>> {
        let Some((of, rest)) = modifiers.split_last() else { return Ok(None) };
        let Some(of) = Type::named(of).filter(|of| of.bytes() > 0) else { return Ok(None) };
        let (mut space, mut count) = (Space::Generic, 1);
        for (index, modifier) in rest.iter().enumerate() {
            match *modifier {
                "global" | "const" => space = Space::Global,
                "shared" | "shared::cta" => space = Space::Shared,
                "param" => space = Space::Param,
                "v2" if index + 1 == rest.len() => count = 2,
                "v4" if index + 1 == rest.len() => count = 4,
                hint if hints().contains(&hint) => {}
                _ => return Ok(None),
            }
        }
        if count * of.bytes() > 16 {
            return Ok(None);
        }
        let Operand::Address(base, offset) = operand else {
            return Err("an address in brackets is expected".to_owned());
        };
        let (base, offset) = match base.as_ref() {
            Operand::Integer(address) => (self.constant(*address), *offset),
            Operand::Name(name) if self.lookup(name).is_none() => {
                let Some((base, found)) = self.symbol(name) else {
                    return Err(format!("`{name}` is not declared"));
                };
                if space != found && !(space == Space::Generic && found == Space::Global) {
                    return Err(format!("`{name}` is not in that space"));
                }
                (base, *offset)
            }
            base => {
                let of = if space == Space::Shared { Type::B32 } else { Type::B64 };
                (self.value_in(base, of, true)?, *offset)
            }
        };
        Ok(Some((Access { space, bytes: of.bytes(), count, base, offset }, of)))
    }

    pub(super) fn load(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let [to, from] = operands else { return Ok(None) };
        let Some((access, of)) = self.access(modifiers, from)? else { return Ok(None) };
        let parts = parts(to);
        if parts.len() != access.count {
            return Ok(None);
        }
        let exact = of.is_float();
        let targets = self.targets(parts, access.bytes, exact)?;
        let sign = if of.is_signed() {
            let (found, _) = self.target(&parts[0])?;
            let mask = if found.bytes() == 8 { u64::MAX } else { (1 << (found.bytes() * 8)) - 1 };
            Some((64 - 8 * access.bytes as u32, mask))
        } else {
            None
        };
        Ok(Some(Op::Load { access, to: targets, sign }))
    }

    pub(super) fn store(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let [to, from] = operands else { return Ok(None) };
        let Some((access, of)) = self.access(modifiers, to)? else { return Ok(None) };
        if access.space == Space::Param {
            return Err("parameters cannot be written".to_owned());
        }
        let parts = parts(from);
        if parts.len() != access.count {
            return Ok(None);
        }
        let mut registers = [ZERO; 4];
        for (register, part) in registers.iter_mut().zip(parts) {
            *register = self.value_in(part, of, !of.is_float())?;
        }
        Ok(Some(Op::Store { access, from: registers }))
    }
}

fn parts(operand: &Operand) -> &[Operand] {
    match operand {
        Operand::Vector(parts) => parts,
        one => std::slice::from_ref(one),
    }
}

fn bits_of(bytes: usize) -> Type {
    match bytes {
        1 => Type::B8,
        2 => Type::B16,
        4 => Type::B32,
        _ => Type::B64,
    }
}

fn split(of: Type, count: usize) -> Decoded<(usize, usize)> {
    match (of, count) {
        (Type::B64 | Type::B32, 2) | (Type::B64, 4) => Ok((count, of.bytes() / count)),
        _ => Err(format!("{count} parts are not supported")),
    }
}
