//! The parser and interpreter of PTX: whatever a text says, it is refused, or executed to its end or its first fault.

use bn_ptx::{Kernel, Launch, LaunchError, Memory, Module, Purpose, Statistics, launch_within};

/// How many instructions a warp may execute.
const STEPS: u64 = 2000;

/// How many kernels of a text are launched.
const KERNELS: usize = 2;

/// The bytes of each allocation.
const BYTES: usize = 512;

/// Two warps, the second of them not full.
const BLOCK: [u32; 3] = [20, 2, 1];

/// Reads a text and launches its kernels.
///
/// # Panics
/// When that goes wrong.
pub fn ptx(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let module = match Module::parse(&text) {
        Ok(module) => module,
        Err(error) => {
            assert!(!error.message.is_empty(), "a refusal says why");
            assert!(
                error.line >= 1 && error.line <= text.lines().count() + 1,
                "a refusal has a place: {error}"
            );
            return;
        }
    };
    for kernel in module.kernels().take(KERNELS) {
        let first = run(&module, kernel, BLOCK);
        if matches!(first, Err(LaunchError::BadLaunch { .. })) {
            let alone = run(&module, kernel, [1; 3]);
            assert!(!matches!(alone, Err(LaunchError::BadLaunch { .. })), "one thread fits: {alone:?}");
            continue;
        }
        assert_eq!(first, run(&module, kernel, BLOCK), "a launch ends the same way each time");
    }
}

/// Launches a kernel with pointers for 8 bytes and small numbers for fewer.
fn run(module: &Module, kernel: &Kernel, block: [u32; 3]) -> Result<Statistics, LaunchError> {
    let mut memory = Memory::new(8 * BYTES);
    let mut allocate = |purpose, name| memory.allocate(BYTES, purpose, name).expect("there is room");
    let (input, output) = (allocate(Purpose::Input, "x"), allocate(Purpose::Output, "y"));
    let (scratch, gone) = (allocate(Purpose::Scratch, "z"), allocate(Purpose::Scratch, "gone"));
    memory.free(gone).expect("it was allocated");
    let contents: Vec<u8> = (0..BYTES).map(|at| (at * 37) as u8).collect();
    memory.write(input, &contents).expect("it is there");
    let pointers = [input, output, scratch, gone];
    let mut next = 0;
    let mut parameter = |bytes: usize| -> Vec<u8> {
        let number = if bytes == 8 {
            next += 1;
            pointers[(next - 1) % pointers.len()]
        } else {
            5
        };
        number.to_le_bytes().into_iter().chain(std::iter::repeat(0)).take(bytes).collect()
    };
    let parameters: Vec<Vec<u8>> = kernel.parameters().iter().map(|it| parameter(it.bytes)).collect();
    let parameters: Vec<&[u8]> = parameters.iter().map(Vec::as_slice).collect();
    let launch = Launch {
        kernel: kernel.name(),
        grid: [2, 1, 1],
        block,
        dynamic_shared: if kernel.shared_bytes() < 1 << 15 { 256 } else { 0 },
        parameters: &parameters,
    };
    let ended = launch_within(module, &mut memory, &launch, STEPS);
    if let Err(error) = &ended {
        assert!(!error.to_string().is_empty(), "a fault says what happened");
    }
    assert_eq!(memory.read(input, BYTES).as_ref(), Ok(&contents), "an input stays as it is");
    ended
}
