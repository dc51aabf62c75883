//! A GPU, through [`cudarc`] and the NVIDIA driver.
//!
//! Nothing of CUDA is needed to build this or to start it: the driver's library is looked for when a device is opened,
//! and what is missing then is said ([`Missing`]). The driver assembles the PTX for the GPU that it finds.
//!
//! Everything happens on one stream, in order. The driver answers most calls before they are carried out, so a mistake
//! of a kernel comes to light in a later call; [`Device::open_checked`] waits after every launch and so knows which
//! kernel it was.

mod failure;
mod missing;
mod opening;
mod properties;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::sys::{self, CUevent_flags, CUresult};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, result,
};

use self::failure::{Failure, Severity, ask};
use crate::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

pub use self::missing::Missing;
pub use self::opening::CHOOSES_DEVICE;
pub use self::properties::{CudaVersion, Properties};

/// What fresh memory holds in a checked device: no plausible number in any of the types (as a float -2.9e-16, in
/// bf16 and f16 -2.9e-16 and -0.022), and the same in every byte.
const FRESH: u8 = 0xA5;

/// A GPU with the kernels of one PTX module.
///
/// Dropped, it gives back its memory, its kernels and its share of the device's context.
#[derive(Debug)]
pub struct Device {
    // In the order in which they are to be dropped.
    memory: BTreeMap<u64, CudaSlice<u8>>,
    kernels: HashMap<String, Kernel>,
    module: Arc<CudaModule>,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
    properties: Properties,
    checked: bool,
    /// The kernels that were launched since the last wait: one of them is at fault when a fault comes to light.
    unsettled: BTreeSet<String>,
    /// What went wrong in giving memory back, which cannot say so itself: the next call does.
    owed: Option<LaunchError>,
    lost: Option<LaunchError>,
}

/// A kernel of the module.
#[derive(Debug)]
struct Kernel {
    function: CudaFunction,
    /// The size of its parameter, as the driver knows it from the PTX.
    parameter_bytes: usize,
}

impl Device {
    /// Opens the GPU that `BNCHECK_CUDA_DEVICE` numbers, the first one if it is not set, and has the driver assemble
    /// the PTX for it. That takes the driver up to some seconds the first time; then it is in the driver's own cache.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn open(ptx: &str) -> Result<Self, Missing> {
        opening::open(ptx, false)
    }

    /// The same for runs that are about correctness: fresh memory is filled with a pattern, so that what a kernel
    /// leaves unwritten does not look right by luck, and every launch is waited for, so that a fault names its kernel.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_checked(ptx: &str) -> Result<Self, Missing> {
        opening::open(ptx, true)
    }

    /// What the device is.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The error that lost this device, if one did. Every call from then on gives the same error.
    ///
    /// After a fault of a kernel the driver answers nothing in that context any more, and all memory in it is gone.
    /// Drop the device and open another: that makes a new context, once no other [`Device`] of this process holds
    /// the old one. NVIDIA promises a fresh start only to a new process, so where the new device is lost as well, or
    /// cannot be opened, start one.
    pub fn lost(&self) -> Option<&LaunchError> {
        self.lost.as_ref()
    }

    /// Copies a buffer to another of the same size, on the device.
    ///
    /// # Errors
    /// When the sizes differ, and what the driver says.
    pub fn copy(&mut self, from: &Buffer, to: &Buffer) -> Result<(), LaunchError> {
        const CALL: &str = "cuMemcpyDtoDAsync";
        self.usable()?;
        if from.bytes != to.bytes {
            return Err(refused(CALL, format!("{} bytes do not fill {}", from.bytes, to.bytes)));
        }
        if from.bytes == 0 || from.address == to.address {
            return Ok(());
        }
        self.slice(CALL, from)?;
        self.slice(CALL, to)?;
        let copied = match (self.memory.remove(&to.address), self.memory.get(&from.address)) {
            (Some(mut target), Some(source)) => {
                let copied = ask(CALL, || self.stream.memcpy_dtod(source, &mut target));
                self.memory.insert(to.address, target);
                copied
            }
            _ => Ok(()),
        };
        copied.map_err(|failure| self.explain(failure))
    }

    /// How long the device takes for each of `repeat` repetitions of some work, by its own clock. What the work
    /// launches and copies is timed, from the end of what was launched before it; a wait of the host in between counts
    /// as well, so time on a device that is not checked, and allocate beforehand.
    ///
    /// # Errors
    /// Those of the work, and what the driver says.
    pub fn time(
        &mut self,
        repeat: usize,
        mut work: impl FnMut(&mut Self) -> Result<(), LaunchError>,
    ) -> Result<Vec<Duration>, LaunchError> {
        self.usable()?;
        let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
        let made = (0..=repeat).map(|_| ask("cuEventCreate", || self.context.new_event(flags)));
        let marks = made.collect::<Result<Vec<_>, _>>().map_err(|failure| self.explain(failure))?;
        self.record(&marks[0])?;
        for mark in &marks[1..] {
            work(self)?;
            self.record(mark)?;
        }
        let mut times = Vec::with_capacity(repeat);
        for pair in marks.windows(2) {
            let milliseconds = ask("cuEventElapsedTime", || pair[0].elapsed_ms(&pair[1]))
                .map_err(|failure| self.explain(failure))?;
            let time = Duration::try_from_secs_f64(f64::from(milliseconds) / 1000.0)
                .map_err(|_| refused("cuEventElapsedTime", format!("{milliseconds} ms is no time")))?;
            times.push(time);
        }
        self.settle()?;
        Ok(times)
    }

    fn record(&mut self, mark: &CudaEvent) -> Result<(), LaunchError> {
        ask("cuEventRecord", || mark.record(&self.stream)).map_err(|failure| self.explain(failure))
    }

    /// Waits for all that was started.
    fn settle(&mut self) -> Result<(), LaunchError> {
        ask("cuStreamSynchronize", || self.stream.synchronize()).map_err(|failure| self.explain(failure))?;
        self.unsettled.clear();
        Ok(())
    }

    /// Whether there is any sense in a further call.
    fn usable(&mut self) -> Result<(), LaunchError> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        self.owed.take().map_or(Ok(()), Err)
    }

    /// What a failed call means. Some mean that the device is lost.
    fn explain(&mut self, failure: Failure) -> LaunchError {
        let severity = failure.severity();
        let error = if severity == Severity::KernelFault {
            let kernels: Vec<String> = self.unsettled.iter().map(|name| format!("`{name}`")).collect();
            let who = match kernels.as_slice() {
                [] => "a kernel".to_owned(),
                [one] => format!("the kernel {one}"),
                several => format!("one of the kernels {}", several.join(", ")),
            };
            LaunchError::KernelFault(format!(
                "{who} did what it must not: {} (found by {}). The device's context is lost, with all memory in it",
                failure.message, failure.call
            ))
        } else {
            LaunchError::Driver { call: failure.call, message: failure.message }
        };
        if severity != Severity::Refused {
            self.lost = Some(error.clone());
        }
        error
    }

    fn slice(&self, call: &'static str, buffer: &Buffer) -> Result<&CudaSlice<u8>, LaunchError> {
        let slice = self.memory.get(&buffer.address).filter(|slice| slice.len() == buffer.bytes);
        slice.ok_or_else(|| {
            let Buffer { address, bytes } = buffer;
            refused(call, format!("there is no buffer of {bytes} bytes at {address:#x} on this device"))
        })
    }

    /// Memory of at least one byte.
    fn reserve(&mut self, bytes: usize) -> Result<CudaSlice<u8>, LaunchError> {
        let call = if self.context.has_async_alloc() { "cuMemAllocAsync" } else { "cuMemAlloc" };
        let full = |failure: &Failure| failure.code == Some(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        // SAFETY: bytes have no invalid values, and nothing here reads them before they are written; what a kernel
        // reads of them is the kernel's affair.
        #[allow(unsafe_code)]
        let reserve = |stream: &Arc<CudaStream>| ask(call, || unsafe { stream.alloc::<u8>(bytes) });
        let mut reserved = reserve(&self.stream);
        if reserved.as_ref().is_err_and(full) {
            // Memory given back comes free when the stream gets there, so wait for that and ask again.
            self.settle()?;
            reserved = reserve(&self.stream);
        }
        reserved.map_err(|failure| {
            if !full(&failure) {
                return self.explain(failure);
            }
            let (free, total) = ask("cuMemGetInfo", || self.context.mem_get_info()).ok().unzip();
            LaunchError::OutOfMemory { bytes, free, total }
        })
    }

    /// A kernel of the module, looked up once.
    fn kernel(&mut self, name: &str) -> Result<&Kernel, LaunchError> {
        if !self.kernels.contains_key(name) {
            let kernel = self.find(name)?;
            self.kernels.insert(name.to_owned(), kernel);
        }
        Ok(&self.kernels[name])
    }

    fn find(&mut self, name: &str) -> Result<Kernel, LaunchError> {
        // cudarc panics at a name with a zero in it, which no kernel has.
        if name.contains('\0') {
            return Err(LaunchError::NoKernel(name.to_owned()));
        }
        let found = ask("cuModuleGetFunction", || {
            self.context.bind_to_thread()?;
            self.module.load_function(name)
        });
        let function = match found {
            Err(failure) if failure.code == Some(CUresult::CUDA_ERROR_NOT_FOUND) => {
                return Err(LaunchError::NoKernel(name.to_owned()));
            }
            found => found.map_err(|failure| self.explain(failure))?,
        };
        let parameter_bytes = only_parameter(&function).map_err(|failure| self.explain(failure))?;
        Ok(Kernel { function, parameter_bytes })
    }
}

/// The size of a kernel's only parameter.
fn only_parameter(function: &CudaFunction) -> Result<usize, Failure> {
    const CALL: &str = "cuFuncGetParamInfo";
    let size = |index| {
        let (mut offset, mut size) = (0, 0);
        // SAFETY: the function is of a module that is loaded, and both places to write to are alive.
        #[allow(unsafe_code)]
        let answer =
            unsafe { sys::cuFuncGetParamInfo(function.cu_function(), index, &raw mut offset, &raw mut size) };
        answer.result().map(|()| size)
    };
    let first = ask(CALL, || size(0))?;
    // The driver refuses the number of a parameter that does not exist.
    if ask(CALL, || size(1)).is_ok() {
        let message = "the kernel has several parameters, and is given one structure".to_owned();
        return Err(Failure { call: CALL, code: None, message });
    }
    Ok(first)
}

/// What is refused before the driver is asked.
fn refused(call: &'static str, message: String) -> LaunchError {
    LaunchError::Driver { call, message }
}

impl Launcher for Device {
    fn label(&self) -> &'static str {
        "cuda"
    }

    fn describe(&self) -> String {
        self.properties.to_string()
    }

    /// Of what the purpose says a GPU holds a kernel to nothing; a checked device fills what is not an input.
    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        self.usable()?;
        // The driver has no memory of 0 bytes.
        if bytes == 0 {
            return Ok(Buffer { address: 0, bytes });
        }
        let slice = self.reserve(bytes)?;
        let address = slice.device_ptr(&self.stream).0;
        if self.checked && purpose != Purpose::Input {
            // SAFETY: the memory was reserved above, of this size and on this stream.
            #[allow(unsafe_code)]
            let fill = || unsafe { result::memset_d8_async(address, FRESH, bytes, self.stream.cu_stream()) };
            ask("cuMemsetD8Async", fill).map_err(|failure| self.explain(failure))?;
        }
        self.memory.insert(address, slice);
        Ok(Buffer { address, bytes })
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        const CALL: &str = "cuMemcpyHtoDAsync";
        self.usable()?;
        if bytes.len() > to.bytes {
            return Err(refused(CALL, format!("{} bytes do not fit into {}", bytes.len(), to.bytes)));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.slice(CALL, to)?;
        // From memory that is not pinned, the driver has taken its own copy when it returns.
        let uploaded = match self.memory.get_mut(&to.address) {
            Some(slice) => ask(CALL, || self.stream.memcpy_htod(bytes, slice)),
            None => Ok(()),
        };
        uploaded.map_err(|failure| self.explain(failure))
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        const CALL: &str = "cuMemcpyDtoHAsync";
        self.usable()?;
        let mut bytes = vec![0; from.bytes];
        if from.bytes > 0 {
            let slice = self.slice(CALL, from)?;
            ask(CALL, || self.stream.memcpy_dtoh(slice, &mut bytes))
                .map_err(|failure| self.explain(failure))?;
        }
        // Also where the driver need not wait: nothing may be left to write to `bytes`, and faults are to be known.
        self.settle()?;
        Ok(bytes)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        const CALL: &str = "cuLaunchKernel";
        self.usable()?;
        let Kernel { function, parameter_bytes } = self.kernel(launch.kernel)?;
        if launch.arguments.len() != *parameter_bytes {
            let (name, given) = (launch.kernel, launch.arguments.len());
            return Err(refused(CALL, format!("`{name}` takes {parameter_bytes} bytes, {given} are given")));
        }
        // The driver reads the structure as it lies in memory, so it is moved to where it may lie: 8-byte words.
        let mut words = vec![0_u64; launch.arguments.len().div_ceil(8)];
        for (word, part) in words.iter_mut().zip(launch.arguments.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            *word = u64::from_ne_bytes(bytes);
        }
        let function = function.cu_function();
        let launched = ask(CALL, || {
            self.context.bind_to_thread()?;
            let mut parameters = [words.as_mut_ptr().cast()];
            let stream = self.stream.cu_stream();
            // SAFETY: the function is of the loaded module, and takes one parameter, no larger than `words`, which the
            // driver copies before it returns. That the kernel stays within the memory that its arguments point to
            // is the kernel's affair: the device's memory is no memory of this process, and a stray access ends in
            // an error.
            #[allow(unsafe_code)]
            unsafe {
                result::launch_kernel(
                    function,
                    launch.grid.into(),
                    launch.block.into(),
                    0,
                    stream,
                    &mut parameters,
                )
            }
        });
        if !self.unsettled.contains(launch.kernel) {
            self.unsettled.insert(launch.kernel.to_owned());
        }
        launched.map_err(|failure| self.explain(failure))?;
        if self.checked { self.settle() } else { Ok(()) }
    }

    fn free(&mut self, buffer: Buffer) {
        if let Some(slice) = self.memory.remove(&buffer.address) {
            let call = if self.context.has_async_alloc() { "cuMemFreeAsync" } else { "cuMemFree" };
            drop(slice);
            // cudarc keeps the error of a drop for the next call; it would bear that call's name.
            if let Err(failure) = ask(call, || self.context.check_err())
                && self.lost.is_none()
            {
                self.owed = Some(self.explain(failure));
            }
        }
    }
}
