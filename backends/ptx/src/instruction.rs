//! Instructions as they are executed.

use crate::convert::Conversion;
use crate::lanes::{CompareFn, LaneFn};

/// The number of a register of a kernel; constants and special registers have numbers too.
pub type Register = u32;
/// The number of a predicate of a kernel.
pub type Predicate = u32;

/// The register that holds 0.
pub const ZERO: Register = 0;

/// A type of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Type {
    B8,
    B16,
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    Bf16,
    F32,
    F64,
    Pred,
}

impl Type {
    /// By its name, without the dot.
    pub fn named(name: &str) -> Option<Type> {
        Some(match name {
            "b8" => Type::B8,
            "b16" => Type::B16,
            "b32" => Type::B32,
            "b64" => Type::B64,
            "u8" => Type::U8,
            "u16" => Type::U16,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "s8" => Type::S8,
            "s16" => Type::S16,
            "s32" => Type::S32,
            "s64" => Type::S64,
            "f16" => Type::F16,
            "bf16" => Type::Bf16,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "pred" => Type::Pred,
            _ => return None,
        })
    }

    /// Its size in bytes; a predicate has none.
    pub fn bytes(self) -> usize {
        match self {
            Type::Pred => 0,
            Type::B8 | Type::U8 | Type::S8 => 1,
            Type::B16 | Type::U16 | Type::S16 | Type::F16 | Type::Bf16 => 2,
            Type::B32 | Type::U32 | Type::S32 | Type::F32 => 4,
            Type::B64 | Type::U64 | Type::S64 | Type::F64 => 8,
        }
    }

    /// Whether it is an integer with a sign.
    pub fn is_signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        matches!(self, Type::F16 | Type::Bf16 | Type::F32 | Type::F64)
    }
}

/// A space of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Global memory, and variables of the module.
    Global,
    /// A block's shared memory.
    Shared,
    /// The launch's parameters.
    Param,
    /// Shared or global, by the address.
    Generic,
}

/// A condition before an instruction, or a predicate that an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub predicate: Predicate,
    /// Whether its opposite is meant.
    pub negated: bool,
}

/// How two predicates are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Logic {
    And,
    Or,
    Xor,
}

impl Logic {
    /// By its name.
    pub fn named(name: &str) -> Option<Logic> {
        match name {
            "and" => Some(Logic::And),
            "or" => Some(Logic::Or),
            "xor" => Some(Logic::Xor),
            _ => None,
        }
    }

    /// Of two masks.
    pub fn of(self, a: u32, b: u32) -> u32 {
        match self {
            Logic::And => a & b,
            Logic::Or => a | b,
            Logic::Xor => a ^ b,
        }
    }
}

/// Which lane a shuffle reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

/// What a vote asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Vote {
    All,
    Any,
    Uniform,
}

/// Where a load or a store goes.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// The space.
    pub space: Space,
    /// Bytes of an element.
    pub bytes: usize,
    /// How many elements, 1, 2 or 4.
    pub count: usize,
    /// The register of the address.
    pub base: Register,
    /// Added to it.
    pub offset: i64,
}

/// What an instruction does.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// An operation on registers.
    Map { run: LaneFn, to: Register, from: [Register; 3] },
    /// The same, where the second operand must not be 0.
    Divide { run: LaneFn, to: Register, from: [Register; 3] },
    /// A conversion; `mask` cuts it to the register.
    Convert { how: Conversion, to: Register, from: Register, mask: u64 },
    /// A comparison, combined with a predicate.
    Compare {
        run: CompareFn,
        from: [Register; 2],
        with: Option<(Logic, Condition)>,
        to: Predicate,
        opposite: Option<Predicate>,
    },
    /// A comparison that gives a number.
    Set { run: CompareFn, from: [Register; 2], with: Option<(Logic, Condition)>, to: Register, yes: u64 },
    /// One of two, by a predicate.
    Select { to: Register, from: [Register; 2], by: Condition },
    /// Logic of predicates.
    Logic { logic: Logic, to: Predicate, from: [Condition; 2] },
    /// Several narrow registers into a wide one, the lowest first.
    Pack { to: Register, from: [Register; 4], count: usize, bits: u32 },
    /// A wide register into several narrow ones; those that are not wanted have none.
    Unpack { to: [Option<Register>; 4], count: usize, bits: u32, from: Register },
    /// From memory; `sign` holds how far a value is shifted up and back to spread its sign in the register.
    Load { access: Access, to: [Option<Register>; 4], sign: Option<(u32, u64)> },
    /// To memory.
    Store { access: Access, from: [Register; 4] },
    /// To an instruction.
    Branch { target: u32 },
    /// The thread ends.
    Exit,
    /// The kernel says that something is wrong.
    Trap,
    /// A barrier of the block.
    Barrier { id: Register },
    /// A barrier of lanes.
    WarpBarrier { mask: Register },
    /// A value of another lane.
    Shuffle {
        kind: Shuffle,
        to: Register,
        valid: Option<Predicate>,
        from: Register,
        lane: Register,
        clamp: Register,
        mask: Register,
    },
    /// Something about a predicate in all lanes.
    Vote { kind: Vote, to: Predicate, from: Condition, mask: Register },
    /// The lanes where a predicate holds.
    Ballot { to: Register, from: Condition, mask: Register },
    /// The lanes that are here.
    ActiveMask { to: Register },
    /// Nothing: a fence.
    Nothing,
}

/// An instruction.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// Its condition.
    pub guard: Option<Condition>,
    /// Its line in the PTX.
    pub line: u32,
    /// File and line of its source, if known.
    pub source: Option<(u32, u32)>,
}

/// A register that the machine sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Special {
    Tid(usize),
    Ntid(usize),
    Ctaid(usize),
    Nctaid(usize),
    Lane,
    Warp,
    Warps,
    MaskEqual,
    MaskLess,
    MaskLessEqual,
    MaskGreater,
    MaskGreaterEqual,
}

impl Special {
    /// By its name, with the percent sign.
    pub fn named(name: &str) -> Option<Special> {
        let axis = |name: &str| match name {
            "x" => Some(0),
            "y" => Some(1),
            "z" => Some(2),
            _ => None,
        };
        Some(match name {
            "%laneid" => Special::Lane,
            "%warpid" => Special::Warp,
            "%nwarpid" => Special::Warps,
            "%lanemask_eq" => Special::MaskEqual,
            "%lanemask_lt" => Special::MaskLess,
            "%lanemask_le" => Special::MaskLessEqual,
            "%lanemask_gt" => Special::MaskGreater,
            "%lanemask_ge" => Special::MaskGreaterEqual,
            _ => {
                let (register, of) = name.split_once('.')?;
                let axis = axis(of)?;
                match register {
                    "%tid" => Special::Tid(axis),
                    "%ntid" => Special::Ntid(axis),
                    "%ctaid" => Special::Ctaid(axis),
                    "%nctaid" => Special::Nctaid(axis),
                    _ => return None,
                }
            }
        })
    }
}
