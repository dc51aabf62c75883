//! The work that the tests give a device: to add two vectors.

use bn_cuda::device::Device;
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

/// The kernels of these tests.
pub const KERNELS: &str = include_str!("kernels.ptx");

/// Two vectors on a device, and where their sum is to be.
pub struct Vectors {
    /// The first.
    pub a: Buffer,
    /// The second.
    pub b: Buffer,
    /// Their sum.
    pub sum: Buffer,
}

impl Vectors {
    /// Uploads two vectors.
    pub fn new(device: &mut Device, a: &[f32], b: &[f32]) -> Self {
        let mut fill = |values: &[f32]| {
            let buffer = device.allocate(4 * values.len(), Purpose::Input).expect("room for a vector");
            device.upload(&buffer, &bytes(values)).expect("a vector is uploaded");
            buffer
        };
        let (a, b) = (fill(a), fill(b));
        let sum = device.allocate(a.bytes, Purpose::Output).expect("room for the sum");
        Vectors { a, b, sum }
    }

    /// Adds the first `n` elements.
    pub fn add(&self, device: &mut Device, n: usize) -> Result<(), LaunchError> {
        add(device, [&self.a, &self.b, &self.sum], n)
    }

    /// Gives the memory back.
    pub fn free(self, device: &mut Device) {
        for buffer in [self.a, self.b, self.sum] {
            device.free(buffer);
        }
    }
}

/// Launches `add` on the first `n` elements of a, b and sum.
pub fn add(device: &mut Device, [a, b, sum]: [&Buffer; 3], n: usize) -> Result<(), LaunchError> {
    let addresses = [a.address, b.address, sum.address].map(u64::to_ne_bytes).concat();
    let arguments = [addresses, (n as u64).to_ne_bytes().to_vec()].concat();
    let blocks = (n as u32).div_ceil(64);
    device.launch(&Launch { kernel: "add", grid: [blocks, 1, 1], block: [64, 1, 1], arguments: &arguments })
}

/// Numbers as they lie in memory.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// And back.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_ne_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// A device of the stand-in.
pub fn open() -> Device {
    Device::open(KERNELS).expect("the stand-in has a device")
}

/// Adds two vectors of a length that fills no block, and looks at every element.
pub fn adds_as_it_should(device: &mut Device) {
    let a: Vec<f32> = (0..1000_u16).map(f32::from).collect();
    let b: Vec<f32> = a.iter().map(|a| 0.25 - 3.0 * a).collect();
    let vectors = Vectors::new(device, &a, &b);
    vectors.add(device, a.len()).expect("the kernel starts");
    let expected: Vec<f32> = a.iter().map(|a| 0.25 - 2.0 * a).collect();
    assert_eq!(floats(&device.download(&vectors.sum).expect("the sum is downloaded")), expected);
    vectors.free(device);
}
