//! Kernels for tests.
#![allow(dead_code)]

use bn_ptx::{Launch, LaunchError, Memory, Module, Purpose, launch};

/// A module of one kernel `k` with a pointer to inputs, a pointer to outputs and this body.
pub fn module(registers: &str, body: &str) -> String {
    format!(
        ".version 9.0\n.target sm_75\n.address_size 64\n.visible .entry k(\n.param .u64 in,\n.param .u64 out\n)\n{{\n\
         .reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<29>;\n.reg .b64 %rd<19>;\n.reg .f32 %f<9>;\n\
         .reg .f64 %fd<9>;\n{registers}\n{body}\nret;\n}}\n"
    )
}

/// Runs an instruction on each row of operands, a thread a row. The operands are in 64-bit words, three to a row; the
/// body finds them in `%rd1`, `%rd2` and `%rd3` and leaves its result in `%rd4`.
pub fn compute(body: &str, rows: &[[u64; 3]]) -> Vec<u64> {
    let text = module(
        "",
        &format!(
            "ld.param.u64 %rd10, [in];\nld.param.u64 %rd11, [out];\n\
             mov.u32 %r20, %tid.x;\nmov.u32 %r21, %ctaid.x;\nmad.lo.s32 %r20, %r21, 64, %r20;\n\
             mul.wide.u32 %rd12, %r20, 24;\nadd.s64 %rd10, %rd10, %rd12;\n\
             mul.wide.u32 %rd12, %r20, 8;\nadd.s64 %rd11, %rd11, %rd12;\n\
             ld.global.u64 %rd1, [%rd10];\nld.global.u64 %rd2, [%rd10+8];\nld.global.u64 %rd3, [%rd10+16];\n\
             cvt.u32.u64 %r1, %rd1;\ncvt.u32.u64 %r2, %rd2;\ncvt.u32.u64 %r3, %rd3;\n\
             mov.b32 %f1, %r1;\nmov.b32 %f2, %r2;\nmov.b32 %f3, %r3;\n\
             mov.b64 %fd1, %rd1;\nmov.b64 %fd2, %rd2;\nmov.b64 %fd3, %rd3;\n\
             cvt.u16.u64 %h1, %rd1;\ncvt.u16.u64 %h2, %rd2;\ncvt.u16.u64 %h3, %rd3;\n\
             {body}\nst.global.u64 [%rd11], %rd4;\n"
        ),
    );
    let module = Module::parse(&text).unwrap_or_else(|error| panic!("{error}\n{body}"));
    let mut memory = Memory::new(1 << 26);
    let padded = rows.len().next_multiple_of(64);
    let mut bytes: Vec<u8> = rows.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    // Threads without a row repeat the first.
    for _ in rows.len()..padded {
        bytes.extend(rows[0].iter().flat_map(|word| word.to_le_bytes()));
    }
    let from = memory.allocate(bytes.len(), Purpose::Input, "operands").expect("memory");
    memory.write(from, &bytes).expect("a copy");
    let to = memory.allocate(padded * 8, Purpose::Output, "results").expect("memory");
    let run = Launch {
        kernel: "k",
        grid: [(padded / 64) as u32, 1, 1],
        block: [64, 1, 1],
        dynamic_shared: 0,
        parameters: &[&from.to_le_bytes(), &to.to_le_bytes()],
    };
    launch(&module, &mut memory, &run).unwrap_or_else(|error| panic!("{error}"));
    let answer = memory.read(to, rows.len() * 8).expect("results");
    answer.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// Runs the kernel `k` of a text on an input of 4096 bytes, all 1, and an output and a scratch of the same size.
pub fn run(text: &str, grid: [u32; 3], block: [u32; 3]) -> Result<(Memory, u64), LaunchError> {
    let module = Module::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut memory = Memory::new(1 << 20);
    let x = memory.allocate(4096, Purpose::Input, "x").expect("memory");
    memory.write(x, &[1; 4096]).expect("a copy");
    let y = memory.allocate(4096, Purpose::Output, "y").expect("memory");
    let z = memory.allocate(4096, Purpose::Scratch, "z").expect("memory");
    let gone = memory.allocate(4096, Purpose::Scratch, "gone").expect("memory");
    memory.free(gone).expect("it was allocated");
    let parameters = [x.to_le_bytes(), y.to_le_bytes(), z.to_le_bytes(), gone.to_le_bytes()];
    let parameters: Vec<&[u8]> = parameters.iter().map(<[u8; 8]>::as_slice).collect();
    let run = Launch { kernel: "k", grid, block, dynamic_shared: 0, parameters: &parameters };
    launch(&module, &mut memory, &run)?;
    Ok((memory, y))
}
