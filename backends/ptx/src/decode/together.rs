//! What lanes and threads execute together.

use crate::instruction::{Op, Shuffle, Type, Vote};
use crate::syntax::Operand;

use super::{Decoded, Names};

impl Names<'_> {
    pub(super) fn barrier(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        match (modifiers, operands) {
            (["warp", "sync"], [mask]) => Ok(Some(Op::WarpBarrier { mask: self.value(mask, Type::B32)? })),
            (["sync"] | ["cta", "sync"] | ["sync", "aligned"] | ["cta", "sync", "aligned"], [id]) => {
                Ok(Some(Op::Barrier { id: self.value(id, Type::B32)? }))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn shuffle(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let (["sync", kind, "b32"], [to, from, lane, clamp, mask]) = (modifiers, operands) else {
            return Ok(None);
        };
        let kind = match *kind {
            "up" => Shuffle::Up,
            "down" => Shuffle::Down,
            "bfly" => Shuffle::Butterfly,
            "idx" => Shuffle::Index,
            _ => return Ok(None),
        };
        let (to, valid) = match to {
            Operand::Pair(to, valid) => (to.as_ref(), Some(self.predicate_of(valid)?)),
            to => (to, None),
        };
        Ok(Some(Op::Shuffle {
            kind,
            to: self.exact(to, 4)?,
            valid,
            from: self.value(from, Type::B32)?,
            lane: self.value(lane, Type::B32)?,
            clamp: self.value(clamp, Type::B32)?,
            mask: self.value(mask, Type::B32)?,
        }))
    }

    pub(super) fn vote(&mut self, modifiers: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let (["sync", kind, of], [to, from, mask]) = (modifiers, operands) else { return Ok(None) };
        let (from, mask) = (self.condition(from)?, self.value(mask, Type::B32)?);
        let kind = match (*kind, *of) {
            ("ballot", "b32") => return Ok(Some(Op::Ballot { to: self.exact(to, 4)?, from, mask })),
            ("all", "pred") => Vote::All,
            ("any", "pred") => Vote::Any,
            ("uni", "pred") => Vote::Uniform,
            _ => return Ok(None),
        };
        Ok(Some(Op::Vote { kind, to: self.predicate_of(to)?, from, mask }))
    }
}
