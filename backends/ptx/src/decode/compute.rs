//! What computes with registers and predicates.

use crate::arithmetic;
use crate::bits;
use crate::float::Rounding;
use crate::instruction::{Condition, Logic, Op, Type, ZERO};
use crate::lanes::{CompareFn, LaneFn, lane};
use crate::lookup;
use crate::syntax::Operand;

use super::{Decoded, Names};

impl Names<'_> {
    pub(super) fn map(
        &mut self,
        run: LaneFn,
        to: Type,
        from: &[Type],
        operands: &[Operand],
    ) -> Decoded<Option<Op>> {
        let Some((target, sources)) = operands.split_first() else { return Ok(None) };
        if sources.len() != from.len() {
            return Ok(None);
        }
        let to = self.exact(target, to.bytes())?;
        let mut registers = [ZERO; 3];
        for ((register, source), &of) in registers.iter_mut().zip(sources).zip(from) {
            *register = self.value(source, of)?;
        }
        Ok(Some(Op::Map { run, to, from: registers }))
    }

    /// What computes with registers of one type.
    pub(super) fn computation(
        &mut self,
        name: &str,
        modifiers: &[&str],
        operands: &[Operand],
    ) -> Decoded<Option<Op>> {
        let Some((of, modifiers)) = modifiers.split_last() else { return Ok(None) };
        let Some(of) = Type::named(of).filter(|&of| of != Type::Pred) else { return Ok(None) };
        let count = operands.len().saturating_sub(1);
        if of.is_float() {
            let run = match (name, modifiers) {
                ("add" | "sub" | "mul", []) => arithmetic::rounded(name, of, Rounding::Nearest),
                ("min" | "max" | "neg" | "abs" | "copysign", []) => arithmetic::unrounded(name, of),
                ("min" | "max", ["NaN"]) => arithmetic::unrounded(&format!("{name}.NaN"), of),
                (_, [rounding]) => {
                    Rounding::named(rounding).and_then(|rounding| arithmetic::rounded(name, of, rounding))
                }
                _ => None,
            };
            let expected = match name {
                "fma" => 3,
                "sqrt" | "rcp" | "neg" | "abs" => 1,
                _ => 2,
            };
            return match run {
                Some(run) if count == expected => self.map(run, of, &vec![of; expected], operands),
                _ => Ok(None),
            };
        }
        let bits = |of: Type| matches!(of, Type::B16 | Type::B32 | Type::B64);
        let sized = of.bytes() >= 4;
        let joined = std::iter::once(name).chain(modifiers.iter().copied()).collect::<Vec<_>>().join(".");
        let shift = Type::U32;
        let (run, to, from): (Option<LaneFn>, Type, Vec<Type>) = match joined.as_str() {
            "and" | "or" | "xor" if bits(of) => (arithmetic::bitwise(&joined, of), of, vec![of; 2]),
            "not" | "cnot" if bits(of) => (arithmetic::bitwise(&joined, of), of, vec![of]),
            "popc" | "clz" if bits(of) && sized => (arithmetic::bitwise(&joined, of), Type::B32, vec![of]),
            "brev" if bits(of) && sized => (arithmetic::bitwise(&joined, of), of, vec![of]),
            "bfind" | "bfind.shiftamt" => (arithmetic::bitwise(&joined, of), Type::B32, vec![of]),
            "bfe" => (arithmetic::bitwise(&joined, of), of, vec![of, shift, shift]),
            "bfi" if bits(of) && sized => return self.bfi(of, operands),
            "prmt" if of == Type::B32 => (arithmetic::bitwise(&joined, of), of, vec![of; 3]),
            "shf.l.wrap" | "shf.l.clamp" | "shf.r.wrap" | "shf.r.clamp" if of == Type::B32 => {
                (arithmetic::bitwise(&joined, of), of, vec![of; 3])
            }
            "shl" if bits(of) => (arithmetic::integer("shl", of), of, vec![of, shift]),
            "shr" => (arithmetic::integer("shr", of), of, vec![of, shift]),
            "slct" => (None, of, Vec::new()),
            _ if bits(of) => (None, of, Vec::new()),
            "neg" | "abs" => (arithmetic::integer(&joined, of), of, vec![of]),
            "mul.wide" => (arithmetic::integer(&joined, of), wide(of), vec![of; 2]),
            "mad.wide" => (arithmetic::integer(&joined, of), wide(of), vec![of, of, wide(of)]),
            "mad.lo" | "mad.hi" => (arithmetic::integer(&joined, of), of, vec![of; 3]),
            "add" | "sub" | "mul.lo" | "mul.hi" | "div" | "rem" | "min" | "max" => {
                (arithmetic::integer(&joined, of), of, vec![of; 2])
            }
            _ => (None, of, Vec::new()),
        };
        let Some(run) = run else { return Ok(None) };
        let op = self.map(run, to, &from, operands)?;
        Ok(match op {
            Some(Op::Map { run, to, from }) if matches!(name, "div" | "rem") => {
                Some(Op::Divide { run, to, from })
            }
            other => other,
        })
    }

    /// `bfi` has four operands; the place and the length must be constants here, packed into one.
    pub(super) fn bfi(&mut self, of: Type, operands: &[Operand]) -> Decoded<Option<Op>> {
        let [to, from, into, Operand::Integer(place), Operand::Integer(length)] = operands else {
            return Err("place and length must be numbers".to_owned());
        };
        let packed = self.constant(place & 0xff | (length & 0xff) << 8);
        let run = if of == Type::B64 {
            lane!(|a, b, c| bits::insert(a, b, c & 0xff, c >> 8, 64))
        } else {
            lane!(|a, b, c| bits::insert(a, b, c & 0xff, c >> 8, 32))
        };
        let from = [self.value(from, of)?, self.value(into, of)?, packed];
        Ok(Some(Op::Map { run, to: self.exact(to, of.bytes())?, from }))
    }

    pub(super) fn lop3(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let (["b32"], [to, a, b, c, Operand::Integer(table)]) = (modifiers, operands) else {
            return Ok(None);
        };
        let Some(run) = lookup::table(*table) else {
            return Err("the table is a number below 256".to_owned());
        };
        let from = [self.value(a, Type::B32)?, self.value(b, Type::B32)?, self.value(c, Type::B32)?];
        Ok(Some(Op::Map { run, to: self.exact(to, 4)?, from }))
    }

    pub(super) fn logic(&mut self, name: &str, operands: &[Operand]) -> Decoded<Option<Op>> {
        match (name, operands) {
            ("not", [to, a]) => {
                let a = self.condition(a)?;
                let a = Condition { negated: !a.negated, ..a };
                Ok(Some(Op::Logic { logic: Logic::And, to: self.predicate_of(to)?, from: [a, a] }))
            }
            (_, [to, a, b]) => {
                let Some(logic) = Logic::named(name) else { return Ok(None) };
                let from = [self.condition(a)?, self.condition(b)?];
                Ok(Some(Op::Logic { logic, to: self.predicate_of(to)?, from }))
            }
            _ => Ok(None),
        }
    }

    /// `.lt.and.f32 …` of `setp` and `set`: the comparison, the logic and the type.
    pub(super) fn comparing(modifiers: &[&str]) -> Option<(CompareFn, Option<Logic>, Type)> {
        let (of, rest) = modifiers.split_last()?;
        let of = Type::named(of).filter(|&of| of != Type::Pred)?;
        let (name, logic) = match rest {
            [name] => (name, None),
            [name, logic] => (name, Some(Logic::named(logic)?)),
            _ => return None,
        };
        Some((arithmetic::comparison(name, of)?, logic, of))
    }

    pub(super) fn setp(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let Some((run, logic, of)) = Self::comparing(modifiers) else { return Ok(None) };
        let (to, a, b, with) = match (operands, logic) {
            ([to, a, b], None) => (to, a, b, None),
            ([to, a, b, c], Some(logic)) => (to, a, b, Some((logic, self.condition(c)?))),
            _ => return Ok(None),
        };
        let (to, opposite) = match to {
            Operand::Pair(to, opposite) => (self.predicate_of(to)?, Some(self.predicate_of(opposite)?)),
            _ => (self.predicate_of(to)?, None),
        };
        let from = [self.value(a, of)?, self.value(b, of)?];
        Ok(Some(Op::Compare { run, from, with, to, opposite }))
    }

    pub(super) fn set(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        // set.CMP{.BOOL}.TO.FROM
        let Some((of, rest)) = modifiers.split_last() else { return Ok(None) };
        let Some((target, rest)) = rest.split_last() else { return Ok(None) };
        let yes = match *target {
            "u32" | "s32" => 0xffff_ffff,
            "f32" => u64::from(1f32.to_bits()),
            _ => return Ok(None),
        };
        let comparing: Vec<&str> = rest.iter().copied().chain([*of]).collect();
        let Some((run, logic, of)) = Self::comparing(&comparing) else { return Ok(None) };
        let (to, a, b, with) = match (operands, logic) {
            ([to, a, b], None) => (to, a, b, None),
            ([to, a, b, c], Some(logic)) => (to, a, b, Some((logic, self.condition(c)?))),
            _ => return Ok(None),
        };
        let from = [self.value(a, of)?, self.value(b, of)?];
        Ok(Some(Op::Set { run, from, with, to: self.exact(to, 4)?, yes }))
    }

    pub(super) fn testp(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let ([name, of], [to, a]) = (modifiers, operands) else { return Ok(None) };
        let Some(of) = Type::named(of) else { return Ok(None) };
        let Some(run) = arithmetic::test(name, of) else { return Ok(None) };
        let from = [self.value(a, of)?, ZERO];
        Ok(Some(Op::Compare { run, from, with: None, to: self.predicate_of(to)?, opposite: None }))
    }

    pub(super) fn selp(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let ([of], [to, a, b, by]) = (modifiers, operands) else { return Ok(None) };
        let Some(of) = Type::named(of).filter(|of| of.bytes() >= 2) else { return Ok(None) };
        let from = [self.value(a, of)?, self.value(b, of)?];
        Ok(Some(Op::Select { to: self.exact(to, of.bytes())?, from, by: self.condition(by)? }))
    }
}

fn wide(of: Type) -> Type {
    match of {
        Type::U16 | Type::S16 => Type::B32,
        _ => Type::B64,
    }
}
