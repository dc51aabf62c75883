//! The driver's state, which all functions share.

use std::cell::Cell;
use std::env;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::context::Context;
use crate::settings::{Settings, VARIABLE};
use crate::status::{Answer, Status};

/// All there is.
static DRIVER: Mutex<Driver> = Mutex::new(Driver { settings: None, contexts: Vec::new(), made: 0 });

thread_local! {
    /// The context that is current on this thread, 0 for none.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// What the functions work on.
pub struct Driver {
    /// Read when the driver is initialised.
    settings: Option<Settings>,
    /// The primary contexts that are held.
    contexts: Vec<Primary>,
    /// How many contexts were ever made: a context's handle is its number, from 1.
    made: usize,
}

struct Primary {
    device: c_int,
    handle: usize,
    holders: usize,
    context: Context,
}

/// Answers a call of an exported function. A panic becomes an answer, as it must not leave the library.
pub fn answer(function: &'static str, work: impl FnOnce(&mut Driver) -> Answer) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
        if function == "cuInit" {
            driver.initialise()?;
        }
        let failure = driver.settings()?.fail.get(function);
        failure.map_or(Ok(()), |&failure| Err(failure))?;
        work(&mut driver)
    }));
    match outcome {
        Ok(Ok(())) => 0,
        Ok(Err(status)) => status.code(),
        Err(_) => Status::UNKNOWN.code(),
    }
}

impl Driver {
    fn initialise(&mut self) -> Answer {
        if self.settings.is_some() {
            return Ok(());
        }
        let Some(text) = env::var_os(VARIABLE) else {
            eprintln!("bn-cuda-stand-in: this libcuda is for bncheck's tests, which set {VARIABLE}");
            return Err(Status::STUB_LIBRARY);
        };
        let settings = Settings::read(&text.to_string_lossy()).map_err(|why| {
            eprintln!("bn-cuda-stand-in: {why}");
            Status::INVALID_VALUE
        })?;
        self.settings = Some(settings);
        Ok(())
    }

    /// The settings of an initialised driver.
    pub fn settings(&self) -> Answer<&Settings> {
        self.settings.as_ref().ok_or(Status::NOT_INITIALIZED)
    }

    /// Whether a number is that of a device.
    pub fn device(&self, device: c_int) -> Answer {
        let exists = (0..self.settings()?.devices).contains(&device);
        if exists { Ok(()) } else { Err(Status::INVALID_DEVICE) }
    }

    /// Takes a share in a device's primary context, which is made if nobody holds it.
    pub fn retain(&mut self, device: c_int) -> Answer<usize> {
        self.device(device)?;
        if let Some(primary) = self.contexts.iter_mut().find(|primary| primary.device == device) {
            primary.holders += 1;
            return Ok(primary.handle);
        }
        let context = Context::new(self.settings()?.memory);
        self.made += 1;
        self.contexts.push(Primary { device, handle: self.made, holders: 1, context });
        Ok(self.made)
    }

    /// Gives a share back; with the last one goes the context.
    pub fn release(&mut self, device: c_int) -> Answer {
        let found = self.contexts.iter().position(|primary| primary.device == device);
        let index = found.ok_or(Status::INVALID_CONTEXT)?;
        self.contexts[index].holders -= 1;
        if self.contexts[index].holders == 0 {
            self.contexts.swap_remove(index).context.end();
        }
        Ok(())
    }

    /// Makes a context the current one of this thread, 0 none.
    pub fn set_current(&self, handle: usize) -> Answer {
        if handle != 0 && !self.contexts.iter().any(|primary| primary.handle == handle) {
            return Err(Status::INVALID_CONTEXT);
        }
        CURRENT.set(handle);
        Ok(())
    }

    /// The context that is current on this thread, where it still exists and no fault has ended its use.
    pub fn current(&mut self) -> Answer<&mut Context> {
        let current = current_handle();
        let primary = self.contexts.iter_mut().find(|primary| primary.handle == current);
        let context = &mut primary.ok_or(Status::INVALID_CONTEXT)?.context;
        context.usable()?;
        Ok(context)
    }
}

/// The handle of the current context, 0 for none.
pub fn current_handle() -> usize {
    CURRENT.get()
}
