//! The backends `cuda` and `cuda-ptx`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bn_api::{
    Backend, BackendInfo, DType, InProcess, Layer, LayerConfig, LayerError, ModuleLayer, Outcome, Request,
    Responder, Response,
};

use crate::device::Device;
use crate::executor::Executor;
use crate::interpreter::Interpreter;
use crate::kernel::{Accumulator, CudaKernel};
use crate::launch::{LaunchError, Launcher};
use crate::ptx;

/// What executes the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executes {
    /// A GPU.
    Gpu,
    /// The PTX interpreter.
    Ptx,
}

/// Opens a backend of this name.
///
/// # Errors
/// What is missing.
pub fn open(name: &str, executes: Executes, accumulator: Accumulator) -> Result<CudaResponder, LaunchError> {
    let open: Open = match executes {
        Executes::Gpu => |storage| {
            Ok(Box::new(
                Device::open_checked(ptx::verified(storage)?.1)
                    .map_err(|missing| LaunchError::Missing(missing.to_string()))?,
            ))
        },
        Executes::Ptx => |storage| Ok(Box::new(Interpreter::open(storage)?)),
    };
    // One module tells whether there is a device, and which.
    let device = open(DType::F32)?.describe();
    Ok(CudaResponder::new(info(name, executes, accumulator, &device), open, accumulator))
}

fn info(name: &str, executes: Executes, accumulator: Accumulator, device: &str) -> BackendInfo {
    let executor = match executes {
        Executes::Gpu => "on a GPU",
        Executes::Ptx => "its PTX executed on the CPU with every access checked",
    };
    let computed_in = match accumulator {
        Accumulator::Single => "computed in f32, f64 in f64",
        Accumulator::Double => "computed in f64",
    };
    BackendInfo {
        name: name.to_owned(),
        version: format!("bn-cuda {} ({device})", env!("CARGO_PKG_VERSION")),
        about: format!("the reference CUDA kernel, {executor}; {computed_in}"),
        unobservable: Vec::new(),
    }
}

/// Says to every case that there is no device.
pub struct Absent {
    info: BackendInfo,
    why: String,
}

impl Absent {
    /// A backend of this name, and why it is not there.
    pub fn new(name: &str, executes: Executes, accumulator: Accumulator, why: String) -> Self {
        Absent { info: info(name, executes, accumulator, "no device"), why }
    }
}

impl Responder for Absent {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn respond(&mut self, _: &Request) -> Response {
        Response::Unsupported { reason: self.why.clone() }
    }
}

/// Starts a device with the PTX of one storage type.
pub type Open = fn(DType) -> Result<Box<dyn Launcher>, LaunchError>;

/// The devices of one backend, one for each storage type, opened when they are first needed.
#[derive(Clone)]
pub struct Devices(Rc<Inner>);

struct Inner {
    open: Open,
    accumulator: Accumulator,
    executors: RefCell<BTreeMap<DType, Executor>>,
    /// What a device did not do, in the case that is being answered.
    failure: RefCell<Option<LaunchError>>,
}

impl Devices {
    /// None is opened yet.
    pub fn new(open: Open, accumulator: Accumulator) -> Self {
        let executors = RefCell::new(BTreeMap::new());
        Devices(Rc::new(Inner { open, accumulator, executors, failure: RefCell::new(None) }))
    }

    /// What is computed in.
    pub fn accumulator(&self) -> Accumulator {
        self.0.accumulator
    }

    /// The device with the kernels for this storage type.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn executor(&self, storage: DType) -> Result<Executor, LaunchError> {
        if let Some(executor) = self.0.executors.borrow().get(&storage) {
            return Ok(executor.clone());
        }
        let executor = Executor::new((self.0.open)(storage)?, storage);
        self.0.executors.borrow_mut().insert(storage, executor.clone());
        Ok(executor)
    }

    /// Does something on a device and notes what the device does not do, as that is no answer of the layer's.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn noting<T>(&self, work: impl FnOnce() -> Result<T, LaunchError>) -> Result<T, LayerError> {
        work().map_err(|error| {
            let words = LayerError::other(&error);
            self.0.failure.borrow_mut().get_or_insert(error);
            words
        })
    }

    /// What was noted since this was asked last. After it every device is opened anew: one that failed may be lost.
    fn take_failure(&self) -> Option<LaunchError> {
        let failure = self.0.failure.borrow_mut().take();
        if failure.is_some() {
            self.0.executors.borrow_mut().clear();
        }
        failure
    }
}

/// The kernel as a backend.
pub struct Cuda {
    devices: Devices,
    info: BackendInfo,
}

impl Cuda {
    /// On devices that are opened so.
    pub fn new(info: BackendInfo, devices: Devices) -> Self {
        Cuda { devices, info }
    }
}

impl Backend for Cuda {
    fn info(&self) -> BackendInfo {
        self.info.clone()
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(CudaKernel { devices: self.devices.clone() }, config)))
    }
}

/// Answers requests. What a device does not do (a fault of a kernel, too little memory) is no answer of the layer's: the
/// case ends in an error, with what the device says, and the next one is asked all the same.
pub struct CudaResponder {
    inner: InProcess<Cuda>,
    devices: Devices,
}

impl CudaResponder {
    /// On devices that are opened so.
    pub fn new(info: BackendInfo, open: Open, accumulator: Accumulator) -> Self {
        let devices = Devices::new(open, accumulator);
        CudaResponder { inner: InProcess::new(Cuda::new(info, devices.clone())), devices }
    }
}

impl Responder for CudaResponder {
    fn info(&self) -> &BackendInfo {
        self.inner.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let response = self.inner.respond(request);
        match self.devices.take_failure() {
            Some(error) => Response::Broken { how: Outcome::Error, message: error.to_string() },
            None => response,
        }
    }
}
