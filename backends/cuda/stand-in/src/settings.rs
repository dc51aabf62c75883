//! What the stand-in is like, and what is to go wrong: the environment variable `BNCHECK_STAND_IN`, read at `cuInit`.
//!
//! | setting | meaning | if left out |
//! |---|---|---|
//! | `devices=N` | how many GPUs there are | 1 |
//! | `driver=MAJOR.MINOR` | the CUDA version of the driver; it loads no PTX that is newer | 13.0 |
//! | `memory=BYTES` | the memory of each GPU | 1 GiB |
//! | `pools=0` | there is no stream-ordered memory: `cuMemAlloc` is asked, not `cuMemAllocAsync` | 1 |
//! | `fail=FUNCTION:CODE` | every call of this function gives this `CUresult`; more than one may fail | |
//!
//! Settings are separated by commas: `driver=12.4,memory=4096`. The variable has to be set, and may be empty.

use std::collections::HashMap;
use std::ffi::c_int;

use crate::status::Status;

/// The variable's name.
pub const VARIABLE: &str = "BNCHECK_STAND_IN";

/// The settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub devices: c_int,
    /// 13000 for 13.0.
    pub driver: c_int,
    pub memory: usize,
    pub pools: c_int,
    pub fail: HashMap<String, Status>,
}

impl Settings {
    /// Reads the variable's value.
    ///
    /// # Errors
    /// The setting that cannot be read.
    pub fn read(text: &str) -> Result<Self, String> {
        let fail = HashMap::new();
        let mut settings = Settings { devices: 1, driver: 13_000, memory: 1 << 30, pools: 1, fail };
        for setting in text.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            settings.set(setting).ok_or_else(|| format!("{VARIABLE}: `{setting}` is no setting"))?;
        }
        Ok(settings)
    }

    fn set(&mut self, setting: &str) -> Option<()> {
        let (name, value) = setting.split_once('=')?;
        match name {
            "devices" => self.devices = value.parse().ok()?,
            "memory" => self.memory = value.parse().ok()?,
            "pools" => self.pools = value.parse().ok()?,
            "driver" => {
                let (major, minor) = value.split_once('.')?;
                self.driver = 1000 * major.parse::<c_int>().ok()? + 10 * minor.parse::<c_int>().ok()?;
            }
            "fail" => {
                let (function, code) = value.split_once(':')?;
                self.fail.insert(function.to_owned(), Status::of(code.parse().ok()?)?);
            }
            _ => return None,
        }
        Some(())
    }
}
