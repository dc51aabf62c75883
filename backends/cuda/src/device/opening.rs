//! From nothing to a device with its kernels, or to what is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::env;
use std::ffi::{CString, c_void};
use std::panic::catch_unwind;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUjit_option, CUresult};
use cudarc::driver::{CudaContext, CudaModule, result};
use cudarc::nvrtc::Ptx;

use super::Device;
use super::failure::{Failure, Severity, ask};
use super::missing::Missing;
use super::properties::{CudaVersion, Properties};

/// The environment variable that chooses one of several GPUs, by its number from 0.
pub const CHOOSES_DEVICE: &str = "BNCHECK_CUDA_DEVICE";

/// The oldest driver that has every function which cudarc is built for (feature `cuda-13000`).
const OLDEST: CudaVersion = CudaVersion(13_000);

/// How much of its assembler's words the driver is given room for.
const LOG_BYTES: usize = 8192;

pub(super) fn open(ptx: &str, checked: bool) -> Result<Device, Missing> {
    if !library_is_there() {
        return Err(Missing::NoLibrary);
    }
    ask("cuInit", result::init).map_err(missing)?;
    let ordinal = choose(env::var_os(CHOOSES_DEVICE).map(|chosen| chosen.to_string_lossy().into_owned()))?;
    let driver = ask("cuDriverGetVersion", version).map_err(missing)?;
    let needs = needed(ptx);
    if driver < needs {
        return Err(Missing::DriverTooOld { has: driver, needs, ptx: version_of(ptx).to_owned() });
    }
    let context = ask("cuDevicePrimaryCtxRetain", || CudaContext::new(ordinal)).map_err(missing)?;
    // SAFETY: all that a device does is on one stream, in order, so no event has to keep uses of its memory apart.
    #[allow(unsafe_code)]
    unsafe {
        context.disable_event_tracking();
    };
    let properties = ask("cuDeviceGetAttribute", || Properties::of(&context, driver)).map_err(missing)?;
    let module = load(&context, ptx, driver)?;
    Ok(Device {
        memory: BTreeMap::new(),
        kernels: HashMap::new(),
        module,
        stream: context.default_stream(),
        context,
        properties,
        checked,
        unsettled: BTreeSet::new(),
        owed: None,
        lost: None,
    })
}

/// Whether the driver's library can be loaded. cudarc panics later where it cannot.
fn library_is_there() -> bool {
    // SAFETY: loading the driver's library runs its initialisers, as every program that uses CUDA does.
    #[allow(unsafe_code)]
    let there = || unsafe { sys::is_culib_present() };
    catch_unwind(there).unwrap_or(false)
}

/// The number of the device to open.
fn choose(chosen: Option<String>) -> Result<usize, Missing> {
    let count = ask("cuDeviceGetCount", result::device::get_count).map_err(missing)?;
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 {
        return Err(Missing::NoDevice);
    }
    let Some(chosen) = chosen else { return Ok(0) };
    let ordinal = chosen.trim().parse().ok().filter(|&ordinal: &usize| ordinal < count);
    ordinal.ok_or(Missing::NoSuchDevice { chosen, count })
}

fn version() -> Result<CudaVersion, cudarc::driver::DriverError> {
    let mut version = 0;
    // SAFETY: the place to write to is alive.
    #[allow(unsafe_code)]
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(CudaVersion(version.unsigned_abs()))
}

/// What the PTX says in its `.version`, `?` if nothing.
fn version_of(ptx: &str) -> &str {
    let version = ptx.lines().find_map(|line| line.trim_start().strip_prefix(".version"));
    version.and_then(|version| version.split_whitespace().next()).unwrap_or("?")
}

/// The oldest driver for a PTX. PTX 9.x came with CUDA 13.x (PTX ISA, release history); older PTX needs what cudarc
/// needs.
fn needed(ptx: &str) -> CudaVersion {
    let minor = version_of(ptx).strip_prefix("9.").and_then(|minor| minor.parse::<u32>().ok());
    minor.map_or(OLDEST, |minor| CudaVersion(13_000 + 10 * minor))
}

/// Has the driver assemble the PTX.
fn load(context: &Arc<CudaContext>, ptx: &str, driver: CudaVersion) -> Result<Arc<CudaModule>, Missing> {
    // cudarc panics at a text with a zero in it.
    let Ok(text) = CString::new(ptx) else {
        let message = "the PTX has a zero byte in it".to_owned();
        return Err(Missing::BadPtx { message, log: String::new() });
    };
    ask("cuModuleLoadData", || context.load_module(Ptx::from_src(ptx))).map_err(|failure| {
        match failure.code {
            Some(CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION) => {
                Missing::DriverTooOld { has: driver, needs: needed(ptx), ptx: version_of(ptx).to_owned() }
            }
            Some(
                CUresult::CUDA_ERROR_INVALID_PTX
                | CUresult::CUDA_ERROR_INVALID_IMAGE
                | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
                | CUresult::CUDA_ERROR_INVALID_SOURCE,
            ) => Missing::BadPtx { message: failure.message, log: assembler_log(&text) },
            _ => missing(failure),
        }
    })
}

/// What the driver's assembler says of a PTX that it refused. cudarc does not ask for it, so it is assembled again.
fn assembler_log(ptx: &CString) -> String {
    let mut log = vec![0_u8; LOG_BYTES];
    let mut options =
        [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    let said = ask("cuModuleLoadDataEx", || {
        let mut values: [*mut c_void; 2] =
            [log.as_mut_ptr().cast(), std::ptr::without_provenance_mut(LOG_BYTES)];
        let mut module = std::ptr::null_mut();
        // SAFETY: the text ends in a zero; there are as many values as options, of the kinds that these options
        // take, and the buffer is as long as the second one says. The driver writes to it before it returns.
        #[allow(unsafe_code)]
        unsafe {
            let answer = sys::cuModuleLoadDataEx(
                &raw mut module,
                ptx.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            );
            if answer == CUresult::CUDA_SUCCESS {
                result::module::unload(module)?;
            }
        }
        Ok(())
    });
    if said.is_err() {
        return String::new();
    }
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).trim_end().to_owned()
}

fn missing(failure: Failure) -> Missing {
    match failure.code {
        _ if failure.severity() == Severity::KernelFault => Missing::Lost(failure.message),
        Some(CUresult::CUDA_ERROR_NO_DEVICE) => Missing::NoDevice,
        Some(CUresult::CUDA_ERROR_STUB_LIBRARY) => Missing::Stub,
        _ => Missing::Driver { call: failure.call, message: failure.message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_ptx_says_which_driver_it_needs() {
        let ptx = |version| format!("//\n// Made by hand\n\n.version {version}\n.target sm_75\n");
        assert_eq!(version_of(&ptx("9.0")), "9.0");
        assert_eq!(needed(&ptx("9.0")), CudaVersion(13_000));
        assert_eq!(needed(&ptx("9.5")), CudaVersion(13_050));
        assert_eq!(needed(&ptx("8.3")), OLDEST);
        assert_eq!((version_of(""), needed("")), ("?", OLDEST));
    }
}
