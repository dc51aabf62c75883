//! Loads, stores, moves and addresses, byte by byte.

use std::fmt::Write;

use bn_ptx::{Launch, LaunchError, Memory, MemoryError, Module, Purpose, launch};

use crate::values::{BITS, FLOATS, INTEGERS, cut, finish, integer, integers, register, width};
use crate::{Case, has};

const TYPES: [&str; 14] =
    ["b8", "b16", "b32", "b64", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64"];

/// Where an access is in a buffer of 64 bytes.
const PLACE: usize = 16;

/// Bytes that differ, with every highest bit at some of them.
fn data() -> Vec<u8> {
    (0..64u8).map(|index| index.wrapping_mul(37) ^ 0x85).collect()
}

/// Runs one thread with `x` (64 bytes of data), `y` (an output of 64 bytes) and 64 bytes of data as a parameter.
fn execute(body: &str) -> (Memory, u64) {
    let values: Vec<String> = data().iter().map(u8::to_string).collect();
    let text = format!(
        ".version 9.0\n.target sm_75\n.address_size 64\n.const .align 16 .b8 table[64] = {{{}}};\n\
         .visible .entry k(.param .u64 x, .param .u64 y, .param .align 16 .b8 held[64])\n{{\n\
         .reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<29>;\n.reg .b64 %rd<29>;\n.reg .f32 %f<9>;\n\
         .reg .f64 %fd<9>;\n.shared .align 16 .b8 tile[64];\nld.param.u64 %rd20, [x];\nld.param.u64 %rd21, [y];\n\
         mov.u64 %rd22, tile;\ncvta.shared.u64 %rd23, %rd22;\n{body}\nret;\n}}\n",
        values.join(", ")
    );
    let module = Module::parse(&text).unwrap_or_else(|error| panic!("{error}\n{body}"));
    let mut memory = Memory::new(1 << 16);
    let x = memory.allocate(64, Purpose::Input, "x").expect("memory");
    memory.write(x, &data()).expect("a copy");
    let y = memory.allocate(64, Purpose::Output, "y").expect("memory");
    let run = Launch {
        kernel: "k",
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        parameters: &[&x.to_le_bytes(), &y.to_le_bytes(), &data()],
    };
    launch(&module, &mut memory, &run).unwrap_or_else(|error| panic!("{error}\n{body}"));
    (memory, y)
}

/// The same for all eight words of 64 bytes, which differ in their offset, `@` in the text.
fn words(text: &str) -> String {
    (0..8).map(|word| text.replace('@', &(word * 8).to_string())).collect::<Vec<_>>().join("\n")
}

fn fill(value: &str) -> String {
    format!("mov.u64 %rd5, {value};\n{}\n", words("st.shared.u64 [tile+@], %rd5;"))
}

fn vectors(of: &str) -> Vec<usize> {
    if width(of) == 64 { vec![1, 2] } else { vec![1, 2, 4] }
}

fn opcode(name: &str, space: &str, of: &str, count: usize) -> String {
    let vector = if count == 1 { String::new() } else { format!(".v{count}") };
    format!("{name}{space}{vector}.{of}")
}

/// Registers from a number on, in braces if they are several.
fn listed(of: &str, first: usize, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|index| register(of, first + index)).collect();
    if count == 1 { names[0].clone() } else { format!("{{{}}}", names.join(", ")) }
}

/// A load: every part lies in its place, with the sign spread to the register's width.
fn load(
    name: &'static str,
    space: &'static str,
    address: &'static str,
    before: &'static str,
    of: &'static str,
    count: usize,
) -> Case {
    let opcode = opcode(name, space, of, count);
    let asked = opcode.clone();
    Case::special(&opcode, move || {
        // Integers also go to registers that are wider.
        let wide = if of.starts_with('f') { of } else { "b64" };
        for to in [of, wide] {
            let before = if before == "tile" {
                words("ld.global.u64 %rd5, [%rd20+@];\nst.shared.u64 [tile+@], %rd5;")
            } else {
                before.into()
            };
            let mut body = format!("{before}\n{asked} {}, [{address}+{PLACE}];\n", listed(to, 1, count));
            for part in 0..count {
                let from = register(to, 1 + part);
                let bits = width(to).max(16);
                let stored = loaded(to, bits);
                let _ = writeln!(body, "st.global.{stored} [%rd21+{}], {from};", part * 8);
            }
            assert!(has(&body, &asked));
            let (memory, y) = execute(&body);
            for part in 0..count {
                let bytes = width(of) as usize / 8;
                let at = PLACE + part * bytes;
                let mut word = [0; 8];
                word[..bytes].copy_from_slice(&data()[at..at + bytes]);
                let value = u64::from_le_bytes(word);
                let held = width(to).max(16);
                let expected = if of.starts_with('s') { cut(integer(of, value) as u64, held) } else { value };
                let got = memory.read(y + part as u64 * 8, held as usize / 8).expect("it was written");
                assert_eq!(got, expected.to_le_bytes()[..held as usize / 8], "{body}");
            }
        }
    })
}

/// A store: so many bytes of each register, and no other byte, are written.
fn store(space: &'static str, address: &'static str, shared: bool, of: &'static str, count: usize) -> Case {
    let opcode = opcode("st", space, of, count);
    let asked = opcode.clone();
    Case::special(&opcode, move || {
        let bytes = width(of) as usize / 8;
        let mut body = if shared { fill("0x2222222222222222") } else { String::new() };
        let mut expected = Vec::new();
        for part in 0..count {
            let bits = width(of).max(16);
            let (what, to) = (loaded(of, bits), register(of, 1 + part));
            let _ = writeln!(body, "ld.global.{what} {to}, [%rd20+{}];", part * 8);
            expected.extend(&data()[part * 8..part * 8 + bytes]);
        }
        let _ = writeln!(body, "{asked} [{address}+{PLACE}], {};", listed(of, 1, count));
        if shared {
            body += &words("ld.shared.u64 %rd5, [tile+@];\nst.global.u64 [%rd21+@], %rd5;");
        }
        let (memory, y) = execute(&body);
        assert_eq!(memory.read(y + PLACE as u64, count * bytes).expect("it was written"), expected, "{body}");
        if shared {
            let mut all = memory.read(y, 64).expect("it was written");
            all.drain(PLACE..PLACE + count * bytes);
            assert!(all.iter().all(|&byte| byte == 0x22), "{body}");
        } else {
            let error = memory.read(y, 64).expect_err("the rest was not written");
            let MemoryError::NeverWritten { count: missing, offset: 0, bytes: 64, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(missing, 64 - count * bytes, "{body}");
        }
    })
}

fn loaded(of: &str, bits: u32) -> String {
    if of.starts_with('f') { of.to_owned() } else { format!("b{bits}") }
}

type Moved = fn(u64, u64) -> u64;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in TYPES {
        for count in vectors(of) {
            for (name, space, address, before) in [
                ("ld", "", "%rd20", ""),
                ("ld", "", "%rd23", "tile"),
                ("ld", "", "table", ""),
                ("ld", ".global", "%rd20", ""),
                ("ldu", ".global", "%rd20", ""),
                ("ld", ".const", "table", ""),
                ("ld", ".shared", "%rd22", "tile"),
                ("ld", ".shared", "tile", "tile"),
                ("ld", ".shared::cta", "%rd22", "tile"),
                ("ld", ".param", "held", ""),
            ] {
                cases.push(load(name, space, address, before, of, count));
            }
            for (space, address, shared) in [
                ("", "%rd21", false),
                ("", "%rd23", true),
                (".global", "%rd21", false),
                (".shared", "%rd22", true),
                (".shared::cta", "tile", true),
            ] {
                cases.push(store(space, address, shared, of, count));
            }
        }
    }
    for of in BITS.into_iter().chain(INTEGERS).chain(FLOATS) {
        let opcode = format!("mov.{of}");
        cases.push(Case::map(&opcode, of, &[of], integers, move |[a, _, _]| cut(a, width(of))));
    }
    let moves: [(&str, &str, &str, Moved); 4] = [
        ("mov.b32", "mov.b32 %r4, {%h1, %h2};", "b32", |a, b| a & 0xffff | (b & 0xffff) << 16),
        ("mov.b32", "mov.b32 {%h4, _}, %r1;", "b16", |a, _| a & 0xffff),
        ("mov.b64", "mov.b64 {%r5, %r6}, %rd1;\nmov.b64 %rd4, {%r6, %r5};", "b64", |a, _| a.rotate_left(32)),
        (
            "mov.b64",
            "mov.b64 {%h4, %h5, %h6, %h7}, %rd1;\nmov.b64 %rd4, {%h7, %h6, %h5, %h2};",
            "b64",
            |a, b| a >> 48 | (a >> 32 & 0xffff) << 16 | (a >> 16 & 0xffff) << 32 | (b & 0xffff) << 48,
        ),
    ];
    for (opcode, body, to, expected) in moves {
        let body = format!("{body}\n{}", finish(to));
        cases.push(Case::of_rows(opcode, body, integers, move |[a, b, _]| expected(a, b)));
    }
    for (opcode, body) in [
        ("cvta.to.global.u64", "cvta.to.global.u64 %rd6, %rd20;\nld.global.u64 %rd5, [%rd6];"),
        ("cvta.global.u64", "cvta.global.u64 %rd6, %rd20;\nld.u64 %rd5, [%rd6];"),
        (
            "cvta.shared.u64",
            "ld.global.u64 %rd4, [%rd20];\nst.shared.u64 [tile+8], %rd4;\ncvta.shared.u64 %rd6, %rd22;\nld.u64 %rd5, [%rd6+8];",
        ),
        (
            "cvta.to.shared.u64",
            "ld.global.u64 %rd4, [%rd20];\nst.u64 [%rd23+8], %rd4;\ncvta.to.shared.u64 %rd6, %rd23;\n\
             ld.shared.u64 %rd5, [%rd6+8];",
        ),
    ] {
        cases.push(Case::special(opcode, move || {
            let (memory, y) = execute(&format!("{body}\nst.global.u64 [%rd21], %rd5;"));
            assert_eq!(memory.read(y, 8).expect("it was written"), data()[..8], "{body}");
        }));
    }
    cases
}

#[test]
fn hints_of_loads_and_stores_change_nothing() {
    for hint in bn_ptx::hints() {
        let body =
            format!("ld.{hint}.global.v2.u64 {{%rd5, %rd6}}, [%rd20];\nst.global.{hint}.u64 [%rd21], %rd6;");
        let (memory, y) = execute(&body);
        assert_eq!(memory.read(y, 8).expect("it was written"), data()[8..16], "{body}");
    }
}

/// Runs a thread that writes a byte of dynamic shared memory, of which there are 40 bytes after 20 others.
fn dynamic(at: u32) -> Result<u8, LaunchError> {
    let text = format!(
        ".version 9.0\n.target sm_75\n.address_size 64\n.extern .shared .align 16 .b8 more[];\n\
         .visible .entry k(.param .u64 y)\n{{\n.reg .b16 %h<9>;\n.reg .b64 %rd<9>;\n.shared .align 4 .b8 own[20];\n\
         ld.param.u64 %rd1, [y];\nmov.u16 %h1, 7;\nmov.u16 %h2, 9;\nmov.u64 %rd2, more;\nst.shared.u8 [own+19], %h1;\n\
         st.shared.u8 [%rd2+{at}], %h2;\nst.shared.u8 [more], %h2;\nld.shared.u8 %h3, [own+19];\n\
         st.global.u8 [%rd1], %h3;\nret;\n}}\n"
    );
    let module = Module::parse(&text).expect("a module");
    let mut memory = Memory::new(64);
    let y = memory.allocate(1, Purpose::Output, "y").expect("memory");
    let parameters: &[&[u8]] = &[&y.to_le_bytes()];
    let run = Launch { kernel: "k", grid: [1; 3], block: [1; 3], dynamic_shared: 40, parameters };
    launch(&module, &mut memory, &run)?;
    Ok(memory.read(y, 1).expect("it was written")[0])
}

#[test]
fn dynamic_shared_memory_lies_after_the_rest_and_ends_where_the_launch_says() {
    assert_eq!(dynamic(39), Ok(7));
    match dynamic(40) {
        Err(LaunchError::Fault(fault)) => assert_eq!(fault.kind, bn_ptx::FaultKind::OutOfBounds),
        other => panic!("{other:?}"),
    }
}
