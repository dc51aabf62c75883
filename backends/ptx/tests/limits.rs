//! Launches that do not fit, memory that runs out, and bytes that nobody wrote.

mod support;

use bn_ptx::{FaultKind, Launch, LaunchError, Memory, MemoryError, Module, Purpose, launch, launch_within};

const TEXT: &str = ".version 9.0\n.target sm_75\n.address_size 64\n.extern .shared .align 16 .b8 more[];\n\
    .visible .entry k(.param .u64 y, .param .u32 n)\n{\n.reg .b64 %rd<9>;\n.shared .align 4 .b8 own[1000];\n\
    ld.param.u64 %rd1, [y];\nret;\n}\n\
    .visible .entry few(.param .u64 y)\n.maxntid 16, 4, 1\n{\nret;\n}\n";

/// How a launch ends, with parameters of so many bytes.
fn ends(
    kernel: &str,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_shared: usize,
    sizes: &[usize],
) -> Result<(), LaunchError> {
    let module = Module::parse(TEXT).expect("a module");
    let mut memory = Memory::new(64);
    let parameters: Vec<&[u8]> = sizes.iter().map(|&size| &[0u8; 16][..size]).collect();
    let run = Launch { kernel, grid, block, dynamic_shared, parameters: &parameters };
    launch(&module, &mut memory, &run).map(|_| ())
}

#[test]
fn launches_at_the_limits_are_executed() {
    for block in [[1024, 1, 1], [1, 1024, 1], [16, 1, 64]] {
        assert_eq!(ends("k", [1; 3], block, 0, &[8, 4]), Ok(()), "{block:?}");
    }
    assert_eq!(ends("k", [1, 65535, 1], [1; 3], 0, &[8, 4]), Ok(()));
    assert_eq!(ends("k", [1, 1, 65535], [1; 3], 0, &[8, 4]), Ok(()));
    // 1000 bytes of its own, rounded up to 1008.
    assert_eq!(ends("k", [1; 3], [1; 3], (48 << 10) - 1008, &[8, 4]), Ok(()));
    assert_eq!(ends("few", [1; 3], [64, 1, 1], 0, &[8]), Ok(()));
}

#[test]
fn launches_beyond_the_limits_are_refused_and_say_why() {
    type Bad<'a> = ([u32; 3], [u32; 3], usize, &'a [usize], &'a str);
    let bad: [Bad; 12] = [
        ([0, 1, 1], [1; 3], 0, &[8, 4], "empty"),
        ([1; 3], [1, 1, 0], 0, &[8, 4], "empty"),
        ([1 << 31, 1, 1], [1; 3], 0, &[8, 4], "2147483647"),
        ([1, 65536, 1], [1; 3], 0, &[8, 4], "65535"),
        ([1, 1, 65536], [1; 3], 0, &[8, 4], "65535"),
        ([1; 3], [1025, 1, 1], 0, &[8, 4], "1024"),
        ([1; 3], [u32::MAX, u32::MAX, 2], 0, &[8, 4], "1024"),
        ([1; 3], [1, 1, 65], 0, &[8, 4], "64 in z"),
        ([1; 3], [1; 3], (48 << 10) - 1007, &[8, 4], "shared memory"),
        ([1; 3], [1; 3], usize::MAX, &[8, 4], "shared memory"),
        ([1; 3], [1; 3], 0, &[8], "1 parameters are given, it has 2"),
        ([1; 3], [1; 3], 0, &[8, 8], "`n` has 4 bytes, 8 are given"),
    ];
    for (grid, block, dynamic, sizes, says) in bad {
        match ends("k", grid, block, dynamic, sizes) {
            Err(LaunchError::BadLaunch { kernel, message }) => {
                assert_eq!(kernel, "k");
                assert!(message.contains(says), "{message}");
            }
            other => panic!("{grid:?} {block:?}: {other:?}"),
        }
    }
    match ends("few", [1; 3], [65, 1, 1], 0, &[8]) {
        Err(LaunchError::BadLaunch { message, .. }) => {
            assert!(message.contains("`.maxntid` of 64"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ends("other", [1; 3], [1; 3], 0, &[]), Err(LaunchError::NoKernel("other".to_owned())));
}

#[test]
fn memory_that_is_not_there_is_refused_and_what_is_freed_can_be_had_again() {
    let mut memory = Memory::new(1000);
    let first = memory.allocate(600, Purpose::Scratch, "first").expect("it fits");
    let error = memory.allocate(401, Purpose::Scratch, "second").expect_err("too much");
    assert_eq!((error.bytes, error.free, error.capacity, error.name.as_str()), (401, 400, 1000, "second"));
    assert!(memory.allocate(usize::MAX, Purpose::Scratch, "all").is_err());
    memory.allocate(400, Purpose::Scratch, "second").expect("it fits exactly");
    assert_eq!(memory.free_bytes(), 0);
    memory.allocate(0, Purpose::Scratch, "nothing").expect("nothing always fits");
    memory.free(first).expect("it is there");
    assert_eq!((memory.free_bytes(), memory.capacity()), (600, 1000));
    assert_eq!(memory.free(first), Err(MemoryError::NotAllocated(first)));
    assert_ne!(memory.allocate(600, Purpose::Scratch, "again").expect("it fits"), first);
}

#[test]
fn bytes_that_nobody_wrote_are_not_read_back() {
    let mut memory = Memory::new(1000);
    let at = memory.allocate(100, Purpose::Output, "y").expect("it fits");
    memory.write(at + 10, &[1; 20]).expect("it is there");
    assert_eq!(memory.read(at + 10, 20), Ok(vec![1; 20]));
    let never =
        |offset, count, bytes| Err(MemoryError::NeverWritten { name: "y".to_owned(), offset, count, bytes });
    assert_eq!(memory.read(at + 10, 21), never(30, 1, 21));
    assert_eq!(memory.read(at, 100), never(0, 80, 100));
    assert_eq!(memory.read(at + 9, 3), never(9, 1, 3));
    // A copy hands on what was not written.
    memory.copy(at + 40, at + 5, 10).expect("it is there");
    assert_eq!(memory.read(at + 40, 10), never(40, 5, 10));
    assert!(matches!(memory.read(at + 99, 2), Err(MemoryError::Outside { bytes: 2, .. })));
}

#[test]
fn an_output_that_a_kernel_leaves_in_part_is_told_with_the_first_byte() {
    let body = "ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\nsetp.eq.u32 %p1, %r1, 5;\nmul.wide.u32 %rd2, %r1, 4;\n\
                add.s64 %rd1, %rd1, %rd2;\n@!%p1 st.global.u32 [%rd1], %r1;";
    let text = support::module("", body).replace("out\n)", "out, .param .u64 z, .param .u64 gone)");
    let (memory, y) = support::run(&text, [1; 3], [32, 1, 1]).expect("it does nothing wrong");
    let expected = MemoryError::NeverWritten { name: "y".to_owned(), offset: 20, count: 4, bytes: 128 };
    assert_eq!(memory.read(y, 128), Err(expected));
}

#[test]
fn special_registers_hold_the_place_in_block_and_grid() {
    // Thread (1, 2, 1) of a block of 4 × 5 × 3 is thread 29; its block is (1, 0, 2) of 2 × 3 × 4.
    let names = [
        ("%tid.x", 1),
        ("%tid.y", 2),
        ("%tid.z", 1),
        ("%ntid.x", 4),
        ("%ntid.y", 5),
        ("%ntid.z", 3),
        ("%ctaid.x", 1),
        ("%ctaid.y", 0),
        ("%ctaid.z", 2),
        ("%nctaid.x", 2),
        ("%nctaid.y", 3),
        ("%nctaid.z", 4),
        ("%laneid", 29),
        ("%warpid", 0),
        ("%nwarpid", 2),
        ("%lanemask_eq", 1 << 29),
        ("%lanemask_lt", (1 << 29) - 1),
        ("%lanemask_le", (1 << 30) - 1),
        ("%lanemask_gt", 3 << 30),
        ("%lanemask_ge", 7 << 29),
        ("WARP_SZ", 32),
    ];
    let mut body = "ld.param.u64 %rd1, [out];\n".to_owned();
    for (name, value) in names.iter().take(3).chain(&names[6..9]) {
        body += "mov.u32 %r1, ";
        body += name;
        body += ";\nsetp.ne.u32 %p1, %r1, ";
        body += &value.to_string();
        body += ";\n@%p1 ret;\n";
    }
    for (index, (name, _)) in names.iter().enumerate() {
        body += "mov.u32 %r1, ";
        body += name;
        body += ";\nst.global.u32 [%rd1+";
        body += &(index * 4).to_string();
        body += "], %r1;\n";
    }
    let text = support::module("", &body).replace("out\n)", "out, .param .u64 z, .param .u64 gone)");
    let (memory, y) = support::run(&text, [2, 3, 4], [4, 5, 3]).expect("it does nothing wrong");
    let bytes = memory.read(y, names.len() * 4).expect("one thread wrote them");
    for ((name, value), word) in names.iter().zip(bytes.chunks_exact(4)) {
        assert_eq!(u32::from_le_bytes(word.try_into().expect("four bytes")), *value, "{name}");
    }
}

#[test]
fn generic_addresses_end_where_shared_memory_does() {
    let body = "mov.u64 %rd1, tile;\ncvta.shared.u64 %rd2, %rd1;\nmov.u32 %r1, 1;\nst.u32 [%rd2+60], %r1;\nst.u32 [%rd2+64], %r1;";
    let text = support::module(".shared .align 4 .b8 tile[64];", body)
        .replace("out\n)", "out, .param .u64 z, .param .u64 gone)");
    let line = text.lines().position(|line| line.contains("+64")).expect("the line") + 1;
    match support::run(&text, [1; 3], [1; 3]) {
        Err(LaunchError::Fault(fault)) => {
            assert_eq!((fault.kind, fault.line), (FaultKind::OutOfBounds, line));
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn a_warp_that_takes_too_long_is_told_where_less_is_allowed() {
    let module = Module::parse(&support::module("", "mov.u32 %r1, 0;\nmov.u32 %r2, 1;")).expect("a module");
    let ends = |most| {
        let parameters: [&[u8]; 2] = [&[0; 8], &[0; 8]];
        let run =
            Launch { kernel: "k", grid: [1; 3], block: [1; 3], dynamic_shared: 0, parameters: &parameters };
        launch_within(&module, &mut Memory::new(64), &run, most)
    };
    assert!(ends(3).is_ok());
    match ends(2) {
        Err(LaunchError::Fault(fault)) => {
            assert_eq!(fault.kind, FaultKind::EndlessLoop);
            assert!(fault.message.contains("executed 2 instructions"), "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn variables_of_a_module_have_a_limit_together() {
    let variables = |count: usize| -> String {
        let one = |number| format!(".global .align 16 .b8 v{number}[1048576];\n");
        (0..count).map(one).collect()
    };
    assert!(Module::parse(&variables(16)).is_ok());
    let error = Module::parse(&variables(17)).expect_err("16 MiB are all there may be");
    assert_eq!(error.line, 17);
    assert!(error.message.contains("`v16` is too large"), "{error}");
}
