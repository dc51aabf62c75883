//! Modules and their kernels.

// What is exported to C is unsafe by its nature: its name, and the pointers that it is given.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::{Handle, give, handle, only};
use crate::context::{Run, Work};
use crate::driver::{Driver, answer};
use crate::engine::Program;
use crate::status::{Answer, Status};

// What may be asked of the assembler, as `CUjit_option` numbers it.
const ERROR_LOG_BUFFER: c_uint = 5;
const ERROR_LOG_BUFFER_SIZE_BYTES: c_uint = 6;

/// The most threads that a block may have, and the most blocks in y and z, on every GPU so far.
const MOST_THREADS: u64 = 1024;
const MOST_BLOCKS_IN_Y_AND_Z: u32 = 65_535;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut Handle, image: *const c_char) -> c_int {
    answer("cuModuleLoadData", |driver| {
        // SAFETY: the caller's pointers.
        let loaded = unsafe { load(driver, image) }.map_err(|refusal| refusal.0)?;
        // SAFETY: the caller's pointer.
        unsafe { give(module, handle(loaded)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut Handle,
    image: *const c_char,
    how_many: c_uint,
    options: *const c_uint,
    values: *const Handle,
) -> c_int {
    answer("cuModuleLoadDataEx", |driver| {
        // SAFETY: the caller's pointers.
        let (status, log) = match unsafe { load(driver, image) } {
            Ok(loaded) => return unsafe { give(module, handle(loaded)) },
            Err(refusal) => refusal,
        };
        let (mut place, mut room) = (std::ptr::null_mut::<u8>(), 0);
        for index in 0..how_many as usize {
            // SAFETY: the caller's pointers, to as many options and values as it says.
            let (option, value) = unsafe { (options.add(index).read(), values.add(index).read()) };
            match option {
                ERROR_LOG_BUFFER => place = value.cast(),
                ERROR_LOG_BUFFER_SIZE_BYTES => room = value.addr(),
                _ => return Err(Status::INVALID_VALUE),
            }
        }
        if !place.is_null() && room > 0 {
            let bytes = &log.as_bytes()[..log.len().min(room - 1)];
            // SAFETY: the caller's pointer, to as much room as it says: the bytes and a zero fit.
            unsafe {
                place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                place.add(bytes.len()).write(0);
            }
        }
        Err(status)
    })
}

/// A module from its text, or the answer and the assembler's words.
///
/// # Safety
/// The image is null or ends in a zero.
unsafe fn load(driver: &mut Driver, image: *const c_char) -> Result<usize, (Status, String)> {
    let plain = |status| (status, String::new());
    if image.is_null() {
        return Err(plain(Status::INVALID_VALUE));
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(image) }.to_str().map_err(|_| plain(Status::INVALID_PTX))?;
    let version = driver.settings().map_err(plain)?.driver;
    let context = driver.current().map_err(plain)?;
    if cuda_version(text) > version {
        return Err(plain(Status::UNSUPPORTED_PTX_VERSION));
    }
    let program = Program::parse(text).map_err(|words| (Status::INVALID_PTX, words))?;
    Ok(context.load(program))
}

/// The version of CUDA with which a version of PTX came: 12.x with 8.x, as far as it matters here, and 13.x with 9.x.
fn cuda_version(ptx: &str) -> c_int {
    let version = ptx.lines().find_map(|line| line.trim().strip_prefix(".version "));
    let Some((major, minor)) = version.and_then(|version| version.trim().split_once('.')) else { return 0 };
    match (major.parse::<c_int>(), minor.parse::<c_int>()) {
        (Ok(major), Ok(minor)) => 1000 * (major + 4) + 10 * minor,
        _ => 0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: Handle) -> c_int {
    answer("cuModuleUnload", |driver| driver.current()?.unload(module.addr()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: *mut Handle,
    module: Handle,
    name: *const c_char,
) -> c_int {
    answer("cuModuleGetFunction", |driver| {
        if name.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: the caller's pointer, to a text that ends in a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let found = driver.current()?.find(module.addr(), &name)?;
        // SAFETY: the caller's pointer.
        unsafe { give(function, handle(found)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetParamInfo(
    function: Handle,
    index: usize,
    offset: *mut usize,
    size: *mut usize,
) -> c_int {
    answer("cuFuncGetParamInfo", |driver| {
        let (program, kernel) = driver.current()?.function(function.addr())?;
        let parameters = program.parameters(kernel).ok_or(Status::NOT_FOUND)?;
        let parameter = parameters.get(index).ok_or(Status::INVALID_VALUE)?;
        // SAFETY: the caller's pointers.
        unsafe { give(offset, parameter.0).and_then(|()| give(size, parameter.1)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    stream: Handle,
    parameters: *const *const c_void,
    extra: *const *const c_void,
) -> c_int {
    answer("cuLaunchKernel", |driver| {
        only(stream)?;
        let context = driver.current()?;
        let (program, kernel) = context.function(function.addr())?;
        let kernel = kernel.to_owned();
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        shape(grid, block)?;
        if !extra.is_null() || parameters.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        let sizes = program.parameters(&kernel).ok_or(Status::NOT_FOUND)?;
        let copy = |(index, &(_, size)): (usize, &(usize, usize))| {
            // SAFETY: the caller's pointers: one a parameter, each to as many bytes as the kernel declares.
            unsafe { std::slice::from_raw_parts(parameters.add(index).read().cast::<u8>(), size) }.to_vec()
        };
        let parameters = sizes.iter().enumerate().map(copy).collect();
        context.later(Work::Run(Run { program, kernel, grid, block, shared, parameters }));
        Ok(())
    })
}

/// Whether a GPU can have such a grid of such blocks.
fn shape(grid: [u32; 3], block: [u32; 3]) -> Answer {
    let threads = block.iter().fold(1, |threads: u64, &size| threads.saturating_mul(size.into()));
    let none = grid.contains(&0) || threads == 0;
    if none || threads > MOST_THREADS || grid[1].max(grid[2]) > MOST_BLOCKS_IN_Y_AND_Z {
        return Err(Status::INVALID_VALUE);
    }
    Ok(())
}
