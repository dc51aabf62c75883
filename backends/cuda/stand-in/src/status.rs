//! The driver's answers.

use std::ffi::{CStr, c_int};

/// An answer other than success: a `CUresult`.
///
/// Only those of the table exist, as cudarc takes an answer for one of an enumeration without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(c_int);

/// What every function gives.
pub type Answer<T = ()> = Result<T, Status>;

impl Status {
    pub const INVALID_VALUE: Status = Status(1);
    pub const OUT_OF_MEMORY: Status = Status(2);
    pub const NOT_INITIALIZED: Status = Status(3);
    pub const STUB_LIBRARY: Status = Status(34);
    pub const NO_DEVICE: Status = Status(100);
    pub const INVALID_DEVICE: Status = Status(101);
    pub const INVALID_CONTEXT: Status = Status(201);
    pub const INVALID_PTX: Status = Status(218);
    pub const UNSUPPORTED_PTX_VERSION: Status = Status(222);
    pub const INVALID_HANDLE: Status = Status(400);
    pub const NOT_FOUND: Status = Status(500);
    pub const NOT_READY: Status = Status(600);
    pub const ILLEGAL_ADDRESS: Status = Status(700);
    pub const MISALIGNED_ADDRESS: Status = Status(716);
    pub const LAUNCH_FAILED: Status = Status(719);
    pub const UNKNOWN: Status = Status(999);

    /// The answer of this number, if it is in the table.
    pub fn of(code: c_int) -> Option<Status> {
        (code != 0 && describe(code).is_some()).then_some(Status(code))
    }

    /// Its number.
    pub fn code(self) -> c_int {
        self.0
    }
}

/// Number, name and description of an answer, as in `cuda.h` and as `cuGetErrorString` gives it.
type Row = (c_int, &'static CStr, &'static CStr);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (0, c"CUDA_SUCCESS", c"no error"),
    (1, c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
    (2, c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
    (3, c"CUDA_ERROR_NOT_INITIALIZED", c"initialization error"),
    (34, c"CUDA_ERROR_STUB_LIBRARY", c"CUDA driver is a stub library"),
    (100, c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected"),
    (101, c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
    (201, c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context"),
    (209, c"CUDA_ERROR_NO_BINARY_FOR_GPU", c"no kernel image is available for execution on the device"),
    (214, c"CUDA_ERROR_ECC_UNCORRECTABLE", c"uncorrectable ECC error encountered"),
    (218, c"CUDA_ERROR_INVALID_PTX", c"a PTX JIT compilation failed"),
    (222, c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", c"the provided PTX was compiled with an unsupported toolchain."),
    (400, c"CUDA_ERROR_INVALID_HANDLE", c"invalid resource handle"),
    (500, c"CUDA_ERROR_NOT_FOUND", c"named symbol not found"),
    (600, c"CUDA_ERROR_NOT_READY", c"device not ready"),
    (700, c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered"),
    (701, c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", c"too many resources requested for launch"),
    (716, c"CUDA_ERROR_MISALIGNED_ADDRESS", c"misaligned address"),
    (719, c"CUDA_ERROR_LAUNCH_FAILED", c"unspecified launch failure"),
    (803, c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", c"system has unsupported display driver / cuda driver combination"),
    (999, c"CUDA_ERROR_UNKNOWN", c"unknown error"),
];

/// The name and the description of an answer.
pub fn describe(code: c_int) -> Option<(&'static CStr, &'static CStr)> {
    TABLE.iter().find(|row| row.0 == code).map(|row| (row.1, row.2))
}
