//! One instruction from its words: names become numbers, and what is unknown is refused.

mod compute;
mod moves;
mod names;
mod opcodes;
mod together;

use crate::instruction::Op;
use crate::syntax::Operand;

pub use names::Names;
pub use opcodes::{hints, opcodes};

type Decoded<T> = Result<T, String>;

impl Names<'_> {
    /// What an instruction does.
    pub fn decode(&mut self, opcode: &str, operands: &[Operand]) -> Decoded<Op> {
        let parts: Vec<&str> = opcode.split('.').collect();
        if let Some(refused) = parts.iter().find(|part| matches!(**part, "approx" | "ftz" | "full")) {
            return Err(format!(
                "`{opcode}`: `.{refused}` is refused, its results are not those of IEEE 754"
            ));
        }
        if parts.contains(&"local") {
            return Err(format!("`{opcode}`: local memory is not supported"));
        }
        let unknown =
            || format!("unknown opcode `{opcode}`, or not with these modifiers and this many operands");
        if !opcodes::known(opcode) {
            return Err(unknown());
        }
        match self.known(&parts, operands) {
            Ok(Some(op)) => Ok(op),
            Ok(None) => Err(unknown()),
            Err(message) => Err(format!("`{opcode}`: {message}")),
        }
    }

    fn known(&mut self, parts: &[&str], operands: &[Operand]) -> Decoded<Option<Op>> {
        let (name, modifiers) = (parts[0], &parts[1..]);
        match name {
            "ret" | "exit" => Ok(operands.is_empty().then_some(Op::Exit)),
            "trap" if operands.is_empty() => Ok(Some(Op::Trap)),
            "membar" | "fence" if operands.is_empty() => Ok(Some(Op::Nothing)),
            "bar" | "barrier" => self.barrier(modifiers, operands),
            "shfl" => self.shuffle(modifiers, operands),
            "vote" => self.vote(modifiers, operands),
            "activemask" if modifiers == ["b32"] => match operands {
                [to] => Ok(Some(Op::ActiveMask { to: self.exact(to, 4)? })),
                _ => Ok(None),
            },
            "ld" | "ldu" => self.load(modifiers, operands),
            "st" => self.store(modifiers, operands),
            "cvta" => self.cvta(modifiers, operands),
            "mov" => self.mov(modifiers, operands),
            "cvt" => self.convert(modifiers, operands),
            "setp" => self.setp(modifiers, operands),
            "set" => self.set(modifiers, operands),
            "testp" => self.testp(modifiers, operands),
            "selp" => self.selp(modifiers, operands),
            "lop3" => self.lop3(modifiers, operands),
            "and" | "or" | "xor" | "not" if modifiers == ["pred"] => self.logic(name, operands),
            _ => self.computation(name, modifiers, operands),
        }
    }
}

fn width(operand: &Operand, found: usize, wanted: usize) -> String {
    let name = match operand {
        Operand::Name(name) => name.as_str(),
        _ => "an operand",
    };
    if found == 0 {
        return format!("`{name}` is a predicate where a register is expected");
    }
    format!("`{name}` has {} bits where {} are expected", found * 8, wanted * 8)
}
