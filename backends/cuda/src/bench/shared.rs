//! A device that its executor and its timer hold both.

use std::cell::RefCell;
use std::rc::Rc;

use crate::device::Device;
use crate::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

/// The device, for an executor.
pub(super) struct Shared(pub Rc<RefCell<Device>>);

impl Launcher for Shared {
    fn label(&self) -> &'static str {
        self.0.borrow().label()
    }

    fn describe(&self) -> String {
        self.0.borrow().describe()
    }

    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        self.0.borrow_mut().allocate(bytes, purpose)
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        self.0.borrow_mut().upload(to, bytes)
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        self.0.borrow_mut().download(from)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        self.0.borrow_mut().launch(launch)
    }

    fn free(&mut self, buffer: Buffer) {
        self.0.borrow_mut().free(buffer);
    }
}
