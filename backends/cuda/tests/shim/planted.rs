//! That the comparison compares: one bit that is wrong after one kernel is found, and is said to be that kernel's.

use std::cell::Cell;
use std::collections::BTreeMap;

use bn_api::DType;
use bn_cuda::backend::Devices;
use bn_cuda::interpreter::Interpreter;
use bn_cuda::kernel::{Accumulator, CudaKernel};
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

use crate::both::Both;
use crate::inputs::Draw;
use crate::shim::Shim;
use crate::sweep::Trial;

/// A kernel, by its name's beginning, and the pointer behind which a bit is turned.
type Plant = (&'static str, usize);

/// Everything that kernels write.
const PLANTS: [Plant; 14] = [
    ("bn_statistics_columns_", 1),
    ("bn_channels_train_", 5),
    ("bn_channels_train_", 6),
    ("bn_channels_train_", 7),
    ("bn_channels_evaluate_", 7),
    ("bn_normalise_", 1),
    ("bn_gradient_sums_columns_", 3),
    ("bn_gradient_sums_columns_", 4),
    ("bn_gradient_channels_", 2),
    ("bn_gradient_channels_", 3),
    ("bn_gradient_channels_", 4),
    ("bn_grad_input_", 2),
    ("bn_relayout_", 0),
    ("bn_relayout_", 1),
];

thread_local! {
    static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// A device that turns a bit.
struct Wrong {
    inner: Shim,
    plant: Option<Plant>,
    sizes: BTreeMap<u64, usize>,
}

impl Launcher for Wrong {
    fn label(&self) -> &'static str {
        "wrong"
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        let buffer = self.inner.allocate(bytes, purpose)?;
        self.sizes.insert(buffer.address, bytes);
        Ok(buffer)
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        self.inner.upload(to, bytes)
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        self.inner.download(from)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        self.inner.launch(launch)?;
        let Some((kernel, field)) = self.plant else { return Ok(()) };
        let bytes = &launch.arguments[8 * field..8 * field + 8];
        let address = u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        if !launch.kernel.starts_with(kernel) || address == 0 {
            return Ok(());
        }
        // It may point into a buffer.
        let (&address, &bytes) = self.sizes.range(..=address).next_back().expect("a buffer");
        let buffer = Buffer { address, bytes };
        let mut contents = self.inner.download(&buffer)?;
        *contents.last_mut().expect("a buffer with contents") ^= 1;
        self.inner.upload(&buffer, &contents)
    }

    fn free(&mut self, buffer: Buffer) {
        self.sizes.remove(&buffer.address);
        self.inner.free(buffer);
    }
}

fn open(storage: DType) -> Result<Box<dyn Launcher>, LaunchError> {
    let inner = Shim::new(storage);
    let wrong = Wrong { inner, plant: PLANTED.get(), sizes: BTreeMap::new() };
    Ok(Box::new(Both::new(Box::new(Interpreter::open(storage)?), Box::new(wrong))))
}

/// A trial in which every kernel of `PLANTS` has something to write, with this bit turned.
fn with(plant: Option<Plant>) -> Result<(), String> {
    PLANTED.set(plant);
    let kernel = CudaKernel { devices: Devices::new(open, Accumulator::Single) };
    Trial::complete(&mut Draw(1), DType::F32, &[3, 5]).attempt(&kernel, true)
}

#[test]
fn a_bit_that_is_wrong_is_found_and_is_said_to_be_its_kernels() {
    assert_eq!(with(None), Ok(()));
    for (kernel, field) in PLANTS {
        let words = with(Some((kernel, field))).expect_err("a bit is wrong");
        let place = format!("behind pointer {field}, ");
        assert!(words.contains(kernel) && words.contains(&place), "{kernel}, {field}: {words}");
    }
}
