//! A device over unmodified cudarc, on the stand-in for the driver's library: from the call of the launcher to the
//! numbers that the kernel's PTX gives, and everything that can be missing or go wrong on the way.
#![cfg(target_os = "linux")]

mod process;
mod vectors;

mod faults;
mod opening;
mod refusals;
mod running;
