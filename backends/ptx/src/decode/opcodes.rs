//! All opcodes, spelled out. What is not in this list is refused before anything else is looked at.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that many patterns share.
const SETS: &[(&str, &str)] = &[
    ("int", "s16|s32|s64|u16|u32|u64"),
    ("signed", "s16|s32|s64"),
    ("unsigned", "u16|u32|u64"),
    ("bits", "b16|b32|b64"),
    ("narrow", "s16|s32|u16|u32"),
    ("broad", "s32|s64|u32|u64"),
    ("float", "f32|f64"),
    ("any", "b16|b32|b64|s16|s32|s64|u16|u32|u64|f32|f64"),
    ("whole", "s8|s16|s32|s64|u8|u16|u32|u64"),
    ("round", "rn|rz|rm|rp"),
    ("roundi", "rni|rzi|rmi|rpi"),
    ("sat", "|.sat"),
    ("logic", "|.and|.or|.xor"),
    ("ordered", "eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan"),
    ("space", "|.global|.const|.shared|.shared::cta"),
    ("value", "b8|b16|b32|b64|s8|s16|s32|s64|u8|u16|u32|u64|f32|f64"),
    ("four", "b8|b16|b32|s8|s16|s32|u8|u16|u32|f32"),
];

/// The opcodes: `{NAME}` stands for the words of a set, `{a|b}` for the words in it.
const PATTERNS: &[&str] = &[
    // Integers.
    "{add|sub|div|rem|min|max|mul.lo|mul.hi|mad.lo|mad.hi}.{int}",
    "{mul|mad}.wide.{narrow}",
    "{neg|abs}.{signed}",
    // Bits.
    "{and|or|xor|not|cnot|shl}.{bits}",
    "shr.{bits}",
    "shr.{int}",
    "{popc|clz|brev|bfi}.{b32|b64}",
    "bfind{|.shiftamt}.{broad}",
    "bfe.{broad}",
    "prmt.b32",
    "lop3.b32",
    "shf.{l|r}.{wrap|clamp}.b32",
    // Floats.
    "{add|sub|mul}{|.rn|.rz|.rm|.rp}.{float}",
    "{div|rcp|sqrt}.{round}.{float}",
    "fma.rn.{float}",
    "{min|max|neg|abs|copysign}.{float}",
    "{min|max}.NaN.f32",
    "testp.{finite|infinite|number|notanumber|normal|subnormal}.{float}",
    // Predicates.
    "{and|or|xor|not|mov}.pred",
    "setp.{eq|ne}{logic}.{bits}",
    "setp.{eq|ne|lt|le|gt|ge}{logic}.{int}",
    "setp.{lo|ls|hi|hs}{logic}.{unsigned}",
    "setp.{ordered}{logic}.{float}",
    "set.{eq|ne}{logic}.{u32|s32|f32}.{bits}",
    "set.{eq|ne|lt|le|gt|ge}{logic}.{u32|s32|f32}.{int}",
    "set.{lo|ls|hi|hs}{logic}.{u32|s32|f32}.{unsigned}",
    "set.{ordered}{logic}.{u32|s32|f32}.{float}",
    "selp.{any}",
    // Moves and conversions.
    "mov.{any}",
    "cvt{sat}.{whole}.{whole}",
    "cvt.{roundi}{sat}.{whole}.{f16|f32|f64}",
    "cvt.{round}{sat}.{float}.{whole}",
    "cvt.rn{sat}.f16.{whole}",
    "cvt{|.rni|.rzi|.rmi|.rpi}{sat}.{f16.f16|f32.f32|f64.f64}",
    "cvt{sat}.{f64.f32|f32.f16|f64.f16|f32.bf16}",
    "cvt.{round}{sat}.f32.f64",
    "cvt.rn{sat}.{f16.f32|bf16.f32}",
    "cvt.rn.f16.f64",
    "cvta.{|to.}{global|shared}.u64",
    // Memory; see also HINTS.
    "ld{space}{|.v2}.{value}",
    "ld{space}.v4.{four}",
    "ld.param{|.v2}.{value}",
    "ld.param.v4.{four}",
    "ldu.global{|.v2}.{value}",
    "ldu.global.v4.{four}",
    "st{|.global|.shared|.shared::cta}{|.v2}.{value}",
    "st{|.global|.shared|.shared::cta}.v4.{four}",
    "membar.{gl|cta|sys}",
    "fence.{acq_rel|sc}.{cta|gpu|sys}",
    // Where threads go, and what they do together. Branches are decoded with the labels.
    "{bra|ret}{|.uni}",
    "exit",
    "trap",
    "bar{|.cta}.sync",
    "barrier{|.cta}.sync{|.aligned}",
    "bar.warp.sync",
    "shfl.sync.{up|down|bfly|idx}.b32",
    "vote.sync.{all|any|uni}.pred",
    "vote.sync.ballot.b32",
    "activemask.b32",
];

/// What loads and stores may also say, anywhere before the type: it is about caches and the memory of other blocks,
/// and changes nothing here.
const HINTS: &[&str] = &[
    "nc",
    "relaxed",
    "weak",
    "volatile",
    "gpu",
    "cta",
    "sys",
    "ca",
    "cg",
    "cs",
    "lu",
    "cv",
    "wb",
    "wt",
    "L1::no_allocate",
    "L1::evict_first",
    "L1::evict_last",
    "L1::evict_normal",
    "L1::evict_unchanged",
    "L2::64B",
    "L2::128B",
    "L2::256B",
];

/// All opcodes that are understood, in the order of the alphabet. Loads and stores are also understood with the
/// [`hints`] between their parts.
pub fn opcodes() -> Vec<String> {
    let mut list: Vec<String> = OPCODES.iter().cloned().collect();
    list.sort_unstable();
    list
}

/// The modifiers of loads and stores that change nothing.
pub fn hints() -> &'static [&'static str] {
    HINTS
}

static OPCODES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut all = HashSet::new();
    for pattern in PATTERNS {
        expand(String::new(), pattern, &mut all);
    }
    all
});

fn expand(begun: String, rest: &str, all: &mut HashSet<String>) {
    let Some((before, after)) = rest.split_once('{') else {
        all.insert(begun + rest);
        return;
    };
    let (words, after) = after.split_once('}').unwrap_or((after, ""));
    let words = SETS.iter().find(|(name, _)| *name == words).map_or(words, |(_, words)| words);
    for word in words.split('|') {
        expand(format!("{begun}{before}{word}"), after, all);
    }
}

/// Whether an opcode is in the list.
pub(super) fn known(opcode: &str) -> bool {
    if OPCODES.contains(opcode) {
        return true;
    }
    let parts: Vec<&str> = opcode.split('.').collect();
    matches!(parts[0], "ld" | "ldu" | "st") && {
        let left: Vec<&str> = parts.into_iter().filter(|part| !HINTS.contains(part)).collect();
        OPCODES.contains(&left.join("."))
    }
}
