//! Two devices as one: each does everything, and after every launch they have to agree.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

use crate::signature::{Cell, pointers};
use crate::words::difference;

/// Addresses of no device, so that one which is not translated is found nowhere.
const FIRST: u64 = 0x7e57_0000_0000_0000;

thread_local! {
    /// How often each kernel was launched and compared in this thread, which is a test's.
    static COMPARED: RefCell<BTreeMap<String, usize>> = const { RefCell::new(BTreeMap::new()) };
}

/// How often each kernel was compared in this test.
pub fn compared() -> BTreeMap<String, usize> {
    COMPARED.with_borrow(BTreeMap::clone)
}

/// Two devices. What the first has no objection to the second does as well.
pub struct Both {
    devices: [Box<dyn Launcher>; 2],
    /// By the address that is given out, the buffer of either device.
    buffers: BTreeMap<u64, [Buffer; 2]>,
    next: u64,
}

impl Both {
    /// Of these two.
    pub fn new(first: Box<dyn Launcher>, second: Box<dyn Launcher>) -> Self {
        Both { devices: [first, second], buffers: BTreeMap::new(), next: FIRST }
    }

    fn of(&self, buffer: &Buffer) -> &[Buffer; 2] {
        self.buffers.get(&buffer.address).expect("a buffer that was allocated here")
    }

    /// The buffer that an address lies in, and how far behind its beginning.
    fn find(&self, address: u64) -> Option<(&[Buffer; 2], u64)> {
        let (start, buffers) = self.buffers.range(..=address).next_back()?;
        let offset = address - start;
        (offset <= buffers[0].bytes as u64).then_some((buffers, offset))
    }

    /// The buffers that a kernel is given, with what is in them.
    fn given(&self, launch: &Launch<'_>) -> Result<Vec<Given>, LaunchError> {
        let mut given = Vec::new();
        for (field, cells) in pointers(launch.kernel).into_iter().enumerate() {
            let address =
                word(launch.arguments, field).ok_or_else(|| fault(launch, "has too few arguments"))?;
            if address == 0 {
                continue;
            }
            let (buffers, offset) = self
                .find(address)
                .ok_or_else(|| fault(launch, &format!("pointer {field} points nowhere")))?;
            given.push(Given { field, cells, buffers: buffers.clone(), offset });
        }
        Ok(given)
    }
}

/// A pointer of a kernel's.
struct Given {
    /// Which of its arguments it is.
    field: usize,
    /// The cells that repeat in the buffer.
    cells: Vec<Cell>,
    buffers: [Buffer; 2],
    /// Where it points to, from the beginning of the buffer.
    offset: u64,
}

fn word(arguments: &[u8], field: usize) -> Option<u64> {
    let bytes = arguments.get(8 * field..8 * field + 8)?;
    bytes.try_into().map(u64::from_le_bytes).ok()
}

fn fault(launch: &Launch<'_>, words: &str) -> LaunchError {
    LaunchError::KernelFault(format!("`{}`: {words}", launch.kernel))
}

impl Launcher for Both {
    fn label(&self) -> &'static str {
        "both"
    }

    fn describe(&self) -> String {
        self.devices.each_ref().map(|device| device.describe()).join(" beside ")
    }

    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        let [first, second] = &mut self.devices;
        let buffers = [first.allocate(bytes, purpose)?, second.allocate(bytes, purpose)?];
        let address = self.next;
        // With a gap, so that the end of a buffer is not the beginning of the next.
        self.next += (bytes as u64 + 1).next_multiple_of(256);
        self.buffers.insert(address, buffers);
        Ok(Buffer { address, bytes })
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        let buffers = self.of(to).clone();
        self.devices.iter_mut().zip(&buffers).try_for_each(|(device, buffer)| device.upload(buffer, bytes))
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        // What is in it was compared when it was written.
        let [first, _] = self.of(from).clone();
        self.devices[0].download(&first)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        let given = self.given(launch)?;
        for (side, device) in self.devices.iter_mut().enumerate() {
            let mut arguments = launch.arguments.to_vec();
            for pointer in &given {
                let address = pointer.buffers[side].address + pointer.offset;
                arguments[8 * pointer.field..8 * pointer.field + 8].copy_from_slice(&address.to_le_bytes());
            }
            device.launch(&Launch { arguments: &arguments, ..launch.clone() })?;
        }
        for Given { field, cells, buffers, .. } in given {
            let [first, second] = &mut self.devices;
            let (one, other) = (first.download(&buffers[0])?, second.download(&buffers[1])?);
            if let Some(words) = difference(&cells, &one, &other) {
                let labels = [first.label(), second.label()].join(" and ");
                return Err(fault(launch, &format!("of {labels}, behind pointer {field}, {words}")));
            }
        }
        COMPARED.with_borrow_mut(|compared| *compared.entry(launch.kernel.to_owned()).or_default() += 1);
        Ok(())
    }

    fn free(&mut self, buffer: Buffer) {
        if let Some(buffers) = self.buffers.remove(&buffer.address) {
            for (device, buffer) in self.devices.iter_mut().zip(buffers) {
                device.free(buffer);
            }
        }
    }
}
