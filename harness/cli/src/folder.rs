//! The folder that a run writes to, which is one run's at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use bn_reports::json::WriteError;

use crate::exit::CliError;

/// The file whose lock says that the folder is in use. It stays; the system lifts the lock when its holder ends, however
/// it does.
const LOCK: &str = ".lock";

/// A folder that nobody else writes to, as long as this lives.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When another process has it, and when it cannot be written to.
    pub fn take(path: &Path) -> Result<Self, CliError> {
        let failed = |error| WriteError { path: path.join(LOCK), error };
        std::fs::create_dir_all(path).map_err(failed)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut lock = options.open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                let _ = lock.read_to_string(&mut by);
                return Err(CliError::Busy { path: path.to_owned(), by });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error).into()),
        }
        let said = lock.set_len(0).and_then(|()| lock.rewind());
        said.and_then(|()| write!(lock, " (process {})", std::process::id())).map_err(failed)?;
        Ok(Folder { path: path.to_owned(), _lock: lock })
    }
}
