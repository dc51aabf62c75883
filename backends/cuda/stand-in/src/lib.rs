//! A stand-in for the NVIDIA driver's library: it exports the functions that `bn-cuda` has cudarc ask for, and
//! executes the PTX on the CPU with [`bn_ptx`].
//!
//! So the host code for a real GPU is tested to the last call on a machine that has none: a test puts this library,
//! as `libcuda.so`, into a folder of its own, and that folder into `LD_LIBRARY_PATH` of a process of its own. It must
//! not lie anywhere where a program looks that was not told so; and without the variable [`settings::VARIABLE`], which
//! only tests set, it answers `cuInit` with `CUDA_ERROR_STUB_LIBRARY`.
//!
//! It does what the documentation of the CUDA driver API says, as far as `bn-cuda` can notice:
//!
//! - One primary context a device, counted; when nobody holds it, all that was in it is gone. What was not given
//!   back by then is named on stderr.
//! - One stream. What is asked of it happens later, in order, when something waits for it.
//! - A fault of a kernel shows in the call that waits, and in every later call of that context. The interpreter's words
//!   about it go to stderr, as those of `compute-sanitizer` do.
//! - Calls fail on demand ([`settings`]).

pub mod settings;

mod context;
mod driver;
mod engine;
mod exports;
mod status;
