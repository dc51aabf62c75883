//! Everything that has a name in a kernel, and operands that are such names.

use std::collections::HashMap;

use crate::instruction::{Condition, Instruction, Predicate, Register, Space, Special, Type};
use crate::module::{Kernel, Module, Parameter, Variable};
use crate::parse::{DYNAMIC, MOST_SHARED, VARIABLES};
use crate::syntax::Operand;

use super::{Decoded, width};

/// Types and numbers by name.
type Registers = HashMap<String, (Type, u32)>;

/// The most registers of a kernel.
const MOST_REGISTERS: usize = 1 << 16;

/// Everything that has a name in a kernel.
pub struct Names<'a> {
    module: &'a Module,
    parameters: Vec<Parameter>,
    /// The scopes that are open, innermost last: their numbers and their registers.
    open: Vec<(u32, Registers)>,
    scopes: u32,
    registers: Vec<String>,
    predicates: Vec<String>,
    constants: HashMap<u64, Register>,
    specials: HashMap<Special, Register>,
    shared: Vec<Variable>,
    shared_bytes: usize,
    dynamic: Option<Register>,
}

impl<'a> Names<'a> {
    /// Of a kernel whose body begins.
    pub fn new(module: &'a Module, parameters: &[Parameter]) -> Self {
        let mut names = Names {
            module,
            parameters: parameters.to_vec(),
            open: vec![(0, HashMap::new())],
            scopes: 1,
            registers: Vec::new(),
            predicates: vec!["true".to_owned()],
            constants: HashMap::new(),
            specials: HashMap::new(),
            shared: Vec::new(),
            shared_bytes: 0,
            dynamic: None,
        };
        names.constant(0);
        names
    }

    /// The kernel, when the body has ended.
    pub fn kernel(
        self,
        name: String,
        parameters: Vec<Parameter>,
        max_threads: Option<[u32; 3]>,
        code: Vec<Instruction>,
    ) -> Kernel {
        let shared_bytes = self.shared_bytes;
        let mut constants: Vec<(u64, Register)> = self.constants.into_iter().collect();
        // Dynamic shared memory begins after the rest.
        constants.extend(self.dynamic.map(|register| (shared_bytes.next_multiple_of(16) as u64, register)));
        constants.sort_unstable();
        Kernel {
            name,
            parameters,
            shared: self.shared,
            shared_bytes,
            max_threads,
            code,
            registers: self.registers.len(),
            names: self.registers,
            predicates: self.predicates.len(),
            predicate_names: self.predicates,
            constants,
            specials: self.specials.into_iter().collect(),
        }
    }

    /// A scope begins.
    pub fn open(&mut self) {
        self.open.push((self.scopes, HashMap::new()));
        self.scopes += 1;
    }

    /// The innermost scope ends.
    pub fn close(&mut self) {
        self.open.pop();
    }

    /// The innermost scope.
    pub fn scope(&self) -> u32 {
        self.open.last().map_or(0, |scope| scope.0)
    }

    /// All open scopes, the innermost last.
    pub fn scopes(&self) -> Vec<u32> {
        self.open.iter().map(|scope| scope.0).collect()
    }

    /// Declares a register, or so many with numbers.
    pub fn declare(&mut self, of: Type, name: &str, count: Option<usize>) -> Decoded<()> {
        if self.registers.len() + self.predicates.len() + count.unwrap_or(1) > MOST_REGISTERS {
            return Err(format!("`{name}`: a kernel has at most {MOST_REGISTERS} registers"));
        }
        let names: Vec<String> = match count {
            None => vec![name.to_owned()],
            Some(count) => (0..count).map(|index| format!("{name}{index}")).collect(),
        };
        for name in names {
            let list = if of == Type::Pred { &mut self.predicates } else { &mut self.registers };
            let number = list.len() as u32;
            list.push(name.clone());
            if let Some((_, scope)) = self.open.last_mut()
                && scope.insert(name.clone(), (of, number)).is_some()
            {
                return Err(format!("`{name}` is declared twice"));
            }
        }
        Ok(())
    }

    /// Declares shared memory.
    pub fn shared(&mut self, name: String, bytes: usize, align: usize) -> Decoded<()> {
        let offset = self.shared_bytes.next_multiple_of(align);
        if offset + bytes > MOST_SHARED {
            return Err(format!("`{name}`: a block has at most {MOST_SHARED} bytes of shared memory"));
        }
        self.shared_bytes = offset + bytes;
        self.shared.push(Variable { name, offset, bytes });
        Ok(())
    }

    pub(super) fn constant(&mut self, bits: u64) -> Register {
        let next = self.registers.len() as Register;
        *self.constants.entry(bits).or_insert_with(|| {
            self.registers.push(format!("{bits:#x}"));
            next
        })
    }

    pub(super) fn lookup(&self, name: &str) -> Option<(Type, u32)> {
        self.open.iter().rev().find_map(|(_, scope)| scope.get(name).copied())
    }

    /// A predicate by its name.
    pub fn predicate(&self, name: &str) -> Decoded<Predicate> {
        match self.lookup(name) {
            Some((Type::Pred, number)) => Ok(number),
            Some(_) => Err(format!("`{name}` is not a predicate")),
            None => Err(format!("the predicate `{name}` is not declared")),
        }
    }

    pub(super) fn condition(&self, operand: &Operand) -> Decoded<Condition> {
        match operand {
            Operand::Name(name) => Ok(Condition { predicate: self.predicate(name)?, negated: false }),
            Operand::Not(inner) => {
                let inner = self.condition(inner)?;
                Ok(Condition { negated: !inner.negated, ..inner })
            }
            _ => Err("a predicate is expected".to_owned()),
        }
    }

    pub(super) fn predicate_of(&self, operand: &Operand) -> Decoded<Predicate> {
        match self.condition(operand)? {
            Condition { predicate, negated: false } => Ok(predicate),
            _ => Err("a predicate that is written must not be negated".to_owned()),
        }
    }

    /// A register that is written, and its type. `_` is none.
    pub(super) fn target(&self, operand: &Operand) -> Decoded<(Type, Register)> {
        match operand {
            Operand::Name(name) => match self.lookup(name) {
                Some((Type::Pred, _)) => Err(format!("`{name}` is a predicate where a register is expected")),
                Some(found) => Ok(found),
                None => Err(format!("the register `{name}` is not declared")),
            },
            _ => Err("a register is expected".to_owned()),
        }
    }

    /// A register of exactly so many bytes that is written.
    pub(super) fn exact(&self, operand: &Operand, bytes: usize) -> Decoded<Register> {
        let (of, register) = self.target(operand)?;
        if of.bytes() == bytes { Ok(register) } else { Err(width(operand, of.bytes(), bytes)) }
    }

    /// An operand that is read, as a value of this type.
    pub(super) fn value(&mut self, operand: &Operand, of: Type) -> Decoded<Register> {
        self.value_in(operand, of, false)
    }

    /// The same, where a wider register is allowed.
    pub(super) fn value_in(&mut self, operand: &Operand, of: Type, wider: bool) -> Decoded<Register> {
        let mask = if of.bytes() == 8 { u64::MAX } else { (1 << (of.bytes() * 8)) - 1 };
        match operand {
            Operand::Integer(_) if of.is_float() => Err("a float is expected, not an integer".to_owned()),
            Operand::Integer(value) => Ok(self.constant(value & mask)),
            Operand::Single(bits) if matches!(of, Type::F32 | Type::B32) => {
                Ok(self.constant(u64::from(*bits)))
            }
            Operand::Double(bits) if matches!(of, Type::F64 | Type::B64) => Ok(self.constant(*bits)),
            Operand::Double(bits) if of == Type::F32 => {
                Ok(self.constant(u64::from((f64::from_bits(*bits) as f32).to_bits())))
            }
            Operand::Name(name) => {
                if let Some((found, register)) = self.lookup(name) {
                    let fits = found.bytes() == of.bytes() || wider && found.bytes() > of.bytes();
                    return if found != Type::Pred && fits {
                        Ok(register)
                    } else {
                        Err(width(operand, found.bytes(), of.bytes()))
                    };
                }
                if name == "WARP_SZ" {
                    return Ok(self.constant(32));
                }
                if let Some(special) = Special::named(name) {
                    if of.bytes() != 4 {
                        return Err(width(operand, 4, of.bytes()));
                    }
                    let next = self.registers.len() as Register;
                    return Ok(*self.specials.entry(special).or_insert_with(|| {
                        self.registers.push(name.clone());
                        next
                    }));
                }
                match self.symbol(name) {
                    Some((register, _)) if of.bytes() >= 4 => Ok(register),
                    _ => Err(format!("`{name}` is not declared, or no special register that is supported")),
                }
            }
            _ => Err("an operand has the wrong form".to_owned()),
        }
    }

    /// The address of a variable, and its space.
    pub(super) fn symbol(&mut self, name: &str) -> Option<(Register, Space)> {
        if let Some(variable) = self.shared.iter().find(|variable| variable.name == name) {
            let offset = variable.offset as u64;
            return Some((self.constant(offset), Space::Shared));
        }
        if let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == name) {
            let offset = parameter.offset as u64;
            return Some((self.constant(offset), Space::Param));
        }
        let variable = self.module.variables.iter().find(|variable| variable.name == name)?;
        if variable.offset == DYNAMIC {
            let next = self.registers.len() as Register;
            let register = *self.dynamic.get_or_insert(next);
            if register == next {
                self.registers.push(name.to_owned());
            }
            return Some((register, Space::Shared));
        }
        let address = VARIABLES + variable.offset as u64;
        Some((self.constant(address), Space::Global))
    }
}
