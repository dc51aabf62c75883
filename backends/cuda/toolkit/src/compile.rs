//! `compile`: makes the PTX files of the repository, or says which of them are not as they would be made.

use std::fs;
use std::path::Path;

use crate::made::{MakeError, Stale, Target, committed, strays};
use crate::nvrtc::Nvrtc;
use crate::parallel::in_parallel;
use crate::units::PTX;

/// What became of a file.
#[derive(Debug)]
pub enum Outcome {
    /// It is as it would be made.
    Fresh,
    /// It was written.
    Written,
    /// It was removed, as nothing makes it.
    Removed,
    /// It is not as it would be made.
    Stale(Stale),
    /// It is not made.
    Failed(MakeError),
}

/// Makes all files; writes those that changed and removes those that nothing makes. Returns the paths of all,
/// in the order of the tables, with what became of them.
pub fn write(root: &Path, nvrtc: &Nvrtc) -> Vec<(String, Outcome)> {
    each(
        root,
        nvrtc,
        |target, made| {
            if committed(root, &target.path())?.as_ref() == Some(&made) {
                return Ok(Outcome::Fresh);
            }
            let path = root.join(target.path());
            let io = |cause| MakeError::Io { path: path.clone(), cause };
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(io)?;
            }
            // One step: who reads it meanwhile sees the old one or the new one.
            let new = path.with_extension("ptx.new");
            fs::write(&new, made).and_then(|()| fs::rename(&new, &path)).map_err(io)?;
            Ok(Outcome::Written)
        },
        |stray| {
            let path = root.join(stray);
            match fs::remove_file(&path) {
                Ok(()) => Outcome::Removed,
                Err(cause) => Outcome::Failed(MakeError::Io { path, cause }),
            }
        },
    )
}

/// Makes all files in memory and compares them with those of the repository.
pub fn check(root: &Path, nvrtc: &Nvrtc) -> Vec<(String, Outcome)> {
    each(
        root,
        nvrtc,
        |target, made| Ok(target.difference(root, &made)?.map_or(Outcome::Fresh, Outcome::Stale)),
        |_| Outcome::Stale(Stale::Stray),
    )
}

fn each(
    root: &Path,
    nvrtc: &Nvrtc,
    then: impl Fn(&Target, String) -> Result<Outcome, MakeError> + Sync,
    stray: impl Fn(&str) -> Outcome,
) -> Vec<(String, Outcome)> {
    let targets = Target::all();
    let mut outcomes = in_parallel(&targets, |_, target| {
        let outcome = target.make(root, nvrtc).and_then(|made| then(target, made));
        (target.path(), outcome.unwrap_or_else(Outcome::Failed))
    });
    match strays(root) {
        Ok(strays) => outcomes.extend(strays.into_iter().map(|path| {
            let outcome = stray(&path);
            (path, outcome)
        })),
        Err(error) => outcomes.push((PTX.to_owned(), Outcome::Failed(error))),
    }
    outcomes
}
