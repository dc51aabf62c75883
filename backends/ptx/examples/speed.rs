//! How long 64 channels of 8,192 f32 values take: sums, a barrier, and a pass over all elements, in blocks of 256.
use std::time::Instant;

use bn_ptx::{Launch, Memory, Module, Purpose, launch};

const KERNEL: &str = "
.version 9.0
.target sm_75
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .pred %p<4>;
.reg .b32 %r<9>;
.reg .b64 %rd<9>;
.reg .f32 %f<19>;
.shared .align 4 .b8 sums[1024];
ld.param.u64 %rd1, [in];
ld.param.u64 %rd2, [out];
mov.u32 %r1, %tid.x;
mov.u32 %r2, %ctaid.x;
mul.lo.s32 %r3, %r2, 8192;
add.s32 %r3, %r3, %r1;
mov.f32 %f1, 0f00000000;
mov.f32 %f2, 0f00000000;
mov.u32 %r4, 0;
FIRST:
add.s32 %r5, %r3, %r4;
mul.wide.u32 %rd3, %r5, 4;
add.s64 %rd4, %rd1, %rd3;
ld.global.f32 %f3, [%rd4];
add.rn.f32 %f1, %f1, %f3;
mul.rn.f32 %f4, %f3, %f3;
add.rn.f32 %f2, %f2, %f4;
add.s32 %r4, %r4, 256;
setp.lt.s32 %p1, %r4, 8192;
@%p1 bra FIRST;
shl.b32 %r6, %r1, 2;
st.shared.f32 [%r6], %f1;
bar.sync 0;
ld.shared.f32 %f5, [sums];
mov.u32 %r4, 0;
SECOND:
add.s32 %r5, %r3, %r4;
mul.wide.u32 %rd3, %r5, 4;
add.s64 %rd4, %rd1, %rd3;
add.s64 %rd5, %rd2, %rd3;
ld.global.f32 %f3, [%rd4];
sub.rn.f32 %f6, %f3, %f5;
mul.rn.f32 %f6, %f6, %f2;
fma.rn.f32 %f7, %f6, %f5, %f3;
div.rn.f32 %f8, %f7, %f2;
add.rn.f32 %f9, %f8, %f3;
mul.rn.f32 %f9, %f9, %f9;
add.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
sub.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
add.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
add.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
add.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
add.rn.f32 %f9, %f9, %f3;
mul.rn.f32 %f9, %f9, %f3;
st.global.f32 [%rd5], %f9;
add.s32 %r4, %r4, 256;
setp.lt.s32 %p1, %r4, 8192;
@%p1 bra SECOND;
ret;
}
";

fn main() {
    let module = Module::parse(KERNEL).expect("the kernel");
    let bytes: Vec<u8> =
        (0..64 * 8192u32).flat_map(|index| (index as f32 * 0.37).sin().to_le_bytes()).collect();
    for _ in 0..3 {
        let mut memory = Memory::new(1 << 26);
        let from = memory.allocate(bytes.len(), Purpose::Input, "x").expect("memory");
        let to = memory.allocate(bytes.len(), Purpose::Output, "y").expect("memory");
        memory.write(from, &bytes).expect("a copy");
        let run = Launch {
            kernel: "k",
            grid: [64, 1, 1],
            block: [256, 1, 1],
            dynamic_shared: 0,
            parameters: &[&from.to_le_bytes(), &to.to_le_bytes()],
        };
        let start = Instant::now();
        let statistics = launch(&module, &mut memory, &run).expect("no fault");
        println!("{} thread instructions in {:?}", statistics.instructions, start.elapsed());
    }
}
