//! A warp: its registers, and where its lanes are.

use crate::fault::{FaultKind, Problem};
use crate::instruction::{Condition, Predicate, Register, Special};
use crate::lanes::{ALL, Lanes, lanes_of};
use crate::module::Kernel;
use crate::race::Known;

/// Lanes that are at one instruction.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The instruction.
    pub at: u32,
    /// The lanes.
    pub mask: u32,
    /// Whether they wait there, for a barrier or for other lanes.
    pub waits: bool,
}

/// A warp of a block.
pub struct Warp {
    /// Its number in the block.
    pub number: u32,
    /// Its lanes that are threads.
    pub exists: u32,
    /// Those that have ended.
    pub exited: u32,
    /// Where the others are.
    pub groups: Vec<Group>,
    /// Instructions executed in this block.
    pub steps: u64,
    /// The tick of the last synchronisation of all lanes.
    pub full: u32,
    /// What synchronisations of some lanes order.
    pub known: Box<Known>,
    registers: Vec<Lanes>,
    defined: Vec<u32>,
    predicates: Vec<u32>,
    predicates_defined: Vec<u32>,
    /// What is defined when a block begins.
    initially: Vec<u32>,
}

impl Warp {
    /// A warp of a launch, with what is the same in each block.
    pub fn new(kernel: &Kernel, number: u32, block: [u32; 3], grid: [u32; 3]) -> Warp {
        let threads = block.iter().product::<u32>();
        let first = number * 32;
        let here = (threads - first).min(32);
        let mut registers = vec![[0; 32]; kernel.registers];
        let mut initially = vec![0; kernel.registers];
        for &(bits, register) in &kernel.constants {
            registers[register as usize] = [bits; 32];
            initially[register as usize] = ALL;
        }
        for &(special, register) in &kernel.specials {
            initially[register as usize] = ALL;
            for (lane, value) in registers[register as usize].iter_mut().enumerate() {
                let thread = first + lane as u32;
                let below = (1u32 << lane) - 1;
                *value = u64::from(match special {
                    Special::Tid(axis) => place(thread, block)[axis],
                    Special::Ntid(axis) => block[axis],
                    Special::Nctaid(axis) => grid[axis],
                    Special::Ctaid(_) => 0,
                    Special::Lane => lane as u32,
                    Special::Warp => number,
                    Special::Warps => threads.div_ceil(32),
                    Special::MaskEqual => 1 << lane,
                    Special::MaskLess => below,
                    Special::MaskLessEqual => below | 1 << lane,
                    Special::MaskGreater => !(below | 1 << lane),
                    Special::MaskGreaterEqual => !below,
                });
            }
        }
        Warp {
            number,
            exists: if here == 32 { ALL } else { (1 << here) - 1 },
            exited: 0,
            groups: Vec::new(),
            steps: 0,
            full: 0,
            known: Box::new([[0; 32]; 32]),
            registers,
            defined: initially.clone(),
            predicates: vec![ALL; kernel.predicates],
            predicates_defined: vec![0; kernel.predicates],
            initially,
        }
    }

    /// A block begins.
    pub fn begin(&mut self, kernel: &Kernel, block: [u32; 3]) {
        self.defined.copy_from_slice(&self.initially);
        self.predicates_defined.fill(0);
        self.exited = 0;
        self.steps = 0;
        self.groups.clear();
        self.groups.push(Group { at: 0, mask: self.exists, waits: false });
        for &(special, register) in &kernel.specials {
            if let Special::Ctaid(axis) = special {
                self.registers[register as usize] = [u64::from(block[axis]); 32];
            }
        }
    }

    /// A register that must be defined in these lanes.
    pub fn read(&self, register: Register, mask: u32, kernel: &Kernel) -> Result<&Lanes, Box<Problem>> {
        let missing = mask & !self.defined[register as usize];
        if missing == 0 {
            Ok(&self.registers[register as usize])
        } else {
            Err(undefined(&kernel.names[register as usize], missing))
        }
    }

    /// A predicate that must be defined in these lanes, as a mask.
    pub fn holds(&self, condition: Condition, mask: u32, kernel: &Kernel) -> Result<u32, Box<Problem>> {
        let index = condition.predicate as usize;
        let missing = mask & !self.predicates_defined[index];
        if missing != 0 {
            return Err(undefined(&kernel.predicate_names[index], missing));
        }
        let value = self.predicates[index];
        Ok(if condition.negated { !value } else { value })
    }

    /// Writes a register in these lanes.
    pub fn write(&mut self, register: Register, values: &Lanes, mask: u32) {
        let register = register as usize;
        self.defined[register] |= mask;
        if mask == ALL {
            self.registers[register] = *values;
        } else {
            for lane in lanes_of(mask) {
                self.registers[register][lane] = values[lane];
            }
        }
    }

    /// Writes a register in one lane.
    pub fn write_lane(&mut self, register: Register, lane: usize, value: u64) {
        self.defined[register as usize] |= 1 << lane;
        self.registers[register as usize][lane] = value;
    }

    /// Writes a predicate in these lanes.
    pub fn set(&mut self, predicate: Predicate, value: u32, mask: u32) {
        let index = predicate as usize;
        self.predicates_defined[index] |= mask;
        self.predicates[index] = self.predicates[index] & !mask | value & mask;
    }

    /// Lanes have synchronised.
    pub fn synchronise(&mut self, mask: u32, tick: u32) {
        if mask == ALL {
            self.full = tick;
            return;
        }
        let mut joined = [0; 32];
        for lane in lanes_of(mask) {
            for (joined, known) in joined.iter_mut().zip(&self.known[lane]) {
                *joined = (*joined).max(*known);
            }
        }
        for lane in lanes_of(mask) {
            joined[lane] = tick;
        }
        for lane in lanes_of(mask) {
            self.known[lane] = joined;
        }
    }
}

fn undefined(name: &str, missing: u32) -> Box<Problem> {
    let lane = missing.trailing_zeros() as usize;
    Problem::new(
        FaultKind::UninitialisedRegister,
        lane,
        format!("the register `{name}` was never written in this thread"),
    )
}

/// A thread's place in its block.
pub fn place(thread: u32, block: [u32; 3]) -> [u32; 3] {
    [thread % block[0], thread / block[0] % block[1], thread / block[0] / block[1]]
}
