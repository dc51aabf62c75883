//! The PTX files of the repository: what each is made of, and whether it still is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::stamp::{Stamp, StampError, stamp};
use thiserror::Error;

use crate::nvrtc::{CompileError, Nvrtc, options};
use crate::place::VERSION;
use crate::planted::{self, PlantError, Planted};
use crate::ptx;
use crate::sources::{self, File, SourceError};
use crate::units::{self, UNITS, Unit};

/// A PTX file of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// What the backend runs.
    Unit(Unit),
    /// What the interpreter has to object to.
    Planted(Planted),
}

/// What a file is compiled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What the file is, in one line.
    pub about: String,
    /// The CUDA C++, the file that is compiled first.
    pub files: Vec<File>,
    /// What is defined for the preprocessor.
    pub defines: &'static [&'static str],
    /// The kernels that are kept; none: all.
    pub kernels: &'static [&'static str],
    /// Comments that the PTX begins with.
    pub notes: String,
}

/// Why a PTX file is not made.
#[derive(Debug, Error)]
pub enum MakeError {
    /// Its sources cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its mistake cannot be planted.
    #[error(transparent)]
    Plant(#[from] PlantError),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The compiler warns.
    #[error("{path} compiles with warnings, which are errors here:\n{warnings}")]
    Warnings {
        /// The source.
        path: String,
        /// NVRTC's log.
        warnings: String,
    },
    /// A kernel that is to be kept is not there.
    #[error("the planted mistake `{name}` keeps the kernel `{kernel}`, which {source_file} does not make")]
    NoKernel {
        /// The mistake.
        name: &'static str,
        /// The kernel.
        kernel: &'static str,
        /// The source.
        source_file: &'static str,
    },
    /// A PTX file or its folder cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// What is wrong with a committed PTX file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Stale {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is not as it was made.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// It was made otherwise than it would be now.
    #[error("{what} changed since it was made")]
    Changed {
        /// A source, the options, the compiler, the kernel's description.
        what: String,
    },
    /// The same sources give another text.
    #[error("line {line} differs from what the compiler makes now")]
    Differs {
        /// The first such line.
        line: usize,
    },
    /// Nothing makes it.
    #[error("nothing makes it: it is in no table")]
    Stray,
}

impl Target {
    /// All of them.
    pub fn all() -> Vec<Self> {
        UNITS.iter().copied().map(Self::Unit).chain(planted::all().map(Self::Planted)).collect()
    }

    /// Where it lies in the repository.
    pub fn path(&self) -> String {
        match self {
            Self::Unit(unit) => format!("{}/{}.ptx", units::PTX, unit.name),
            Self::Planted(planted) => format!("{}/{}.ptx", planted::PTX, planted.name),
        }
    }

    /// Reads what it is compiled from, the mistake planted if it is of one.
    ///
    /// # Errors
    /// When a file cannot be read or the mistake not be planted.
    pub fn recipe(&self, root: &Path) -> Result<Recipe, MakeError> {
        match self {
            Self::Unit(unit) => {
                let files = sources::read(root, unit.source)?;
                let (about, notes) = (unit.about.to_owned(), String::new());
                Ok(Recipe { about, files, defines: unit.defines, kernels: &[], notes })
            }
            Self::Planted(planted) => {
                let mut files = sources::read(root, planted.source)?;
                let line = planted.plant(&mut files)?;
                let about = format!(
                    "a mistake planted at {}/{}:{line}: {}",
                    units::KERNELS,
                    planted.file,
                    planted.about
                );
                let notes = planted.notes(&files)?;
                Ok(Recipe { about, files, defines: planted.defines, kernels: planted.kernels, notes })
            }
        }
    }

    /// Makes the file's text.
    ///
    /// # Errors
    /// When it does not compile, or an unplanted one not without warnings.
    pub fn make(&self, root: &Path, nvrtc: &Nvrtc) -> Result<String, MakeError> {
        let recipe = self.recipe(root)?;
        let compiled = nvrtc.compile(&recipe.files, recipe.defines)?;
        let mut body = compiled.ptx;
        match self {
            Self::Unit(_) if !compiled.warnings.is_empty() => {
                return Err(MakeError::Warnings {
                    path: recipe.files[0].path(),
                    warnings: compiled.warnings,
                });
            }
            Self::Planted(planted) if !recipe.kernels.is_empty() => {
                body = ptx::keep(&body, recipe.kernels).map_err(|kernel| MakeError::NoKernel {
                    name: planted.name,
                    kernel,
                    source_file: planted.source,
                })?;
                body = planted::without_unused(&body);
            }
            // A mistake may leave something unused.
            _ => {}
        }
        body.insert_str(0, &recipe.notes);
        let sources = sources::hashes(&recipe.files);
        Ok(stamp(&recipe.about, sources, &options(recipe.defines).join(" "), &compiler(), &body))
    }

    /// Whether the committed file is the one that its sources give, as far as can be said without compiling
    /// them: they, the options and the compiler are those that it was made with, and nobody edited it.
    ///
    /// # Errors
    /// When a source cannot be read or a mistake not be planted. That the file is stale is an answer.
    pub fn stale(&self, root: &Path) -> Result<Option<Stale>, MakeError> {
        let recipe = self.recipe(root)?;
        let Some(text) = committed(root, &self.path())? else { return Ok(Some(Stale::Missing)) };
        let stamp = match Stamp::verify(&text) {
            Ok(stamp) => stamp,
            Err(error) => return Ok(Some(error.into())),
        };
        let changed = |what: &str| Ok(Some(Stale::Changed { what: what.to_owned() }));
        let sources = sources::hashes(&recipe.files);
        if let Some(source) = sources.iter().find(|source| !stamp.sources.contains(source)) {
            return changed(&source.path);
        }
        if sources != stamp.sources {
            return changed("what the source includes");
        }
        if stamp.options != options(recipe.defines).join(" ") {
            return changed("the compiler's options");
        }
        if stamp.compiler != compiler() {
            return changed("the compiler's version");
        }
        if stamp.about != recipe.about {
            return changed("its description");
        }
        if !Stamp::read(&text).is_ok_and(|(_, body)| body.starts_with(&recipe.notes)) {
            return changed("what it is to lead to");
        }
        Ok(None)
    }

    /// How the committed file differs from one that was made now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn difference(&self, root: &Path, made: &str) -> Result<Option<Stale>, MakeError> {
        if let Some(stale) = self.stale(root)? {
            return Ok(Some(stale));
        }
        let Some(text) = committed(root, &self.path())? else { return Ok(Some(Stale::Missing)) };
        if text == made {
            return Ok(None);
        }
        let same = text.lines().zip(made.lines()).take_while(|(old, new)| old == new).count();
        Ok(Some(Stale::Differs { line: same + 1 }))
    }
}

/// The PTX files in the repository that nothing makes, as paths in the repository.
///
/// # Errors
/// When a folder cannot be read.
pub fn strays(root: &Path) -> Result<Vec<String>, MakeError> {
    let known: BTreeSet<String> = Target::all().iter().map(Target::path).collect();
    let mut strays = Vec::new();
    for folder in [units::PTX, planted::PTX] {
        strays.extend(ptx_files(root, folder)?.into_iter().filter(|path| !known.contains(path)));
    }
    Ok(strays)
}

/// The PTX files of a folder of the repository, as paths in the repository, in the order of their names. None
/// if there is no such folder.
///
/// # Errors
/// When it cannot be read.
pub fn ptx_files(root: &Path, folder: &str) -> Result<Vec<String>, MakeError> {
    let path = root.join(folder);
    let io = |cause| MakeError::Io { path: path.clone(), cause };
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name();
        let name = name.to_string_lossy();
        if Path::new(name.as_ref()).extension().is_some_and(|extension| extension == "ptx") {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// A file of the repository, if it is there.
///
/// # Errors
/// When it is there and cannot be read.
pub fn committed(root: &Path, path: &str) -> Result<Option<String>, MakeError> {
    let path = root.join(path);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(MakeError::Io { path, cause }),
    }
}

fn compiler() -> String {
    format!("NVRTC {VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with the first unit's source and a PTX file of it, stamped as if it were made now.
    fn tree() -> (tempfile::TempDir, Target) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let target = Target::Unit(UNITS[0]);
        for folder in [units::KERNELS, units::PTX] {
            fs::create_dir_all(root.path().join(folder)).expect("a folder");
        }
        write(&root, &format!("{}/{}", units::KERNELS, UNITS[0].source), "#include \"a.cuh\"\n");
        write(&root, &format!("{}/a.cuh", units::KERNELS), "int a;\n");
        let recipe = target.recipe(root.path()).expect("the sources are there");
        let sources = sources::hashes(&recipe.files);
        let text =
            stamp(&recipe.about, sources, &options(recipe.defines).join(" "), &compiler(), ".version 9.0\n");
        write(&root, &target.path(), &text);
        (root, target)
    }

    fn write(root: &tempfile::TempDir, path: &str, text: &str) {
        fs::write(root.path().join(path), text).expect("a file");
    }

    fn stale(root: &tempfile::TempDir, target: &Target) -> Option<Stale> {
        target.stale(root.path()).expect("all can be read")
    }

    #[test]
    fn a_file_is_fresh_until_a_source_changes() {
        let (root, target) = tree();
        assert_eq!(stale(&root, &target), None);
        let header = format!("{}/a.cuh", units::KERNELS);
        write(&root, &header, "int b;\n");
        assert_eq!(stale(&root, &target), Some(Stale::Changed { what: header }));
    }

    #[test]
    fn a_header_that_is_no_longer_included_makes_a_file_stale() {
        let (root, target) = tree();
        let source = format!("{}/{}", units::KERNELS, UNITS[0].source);
        write(&root, &source, "\n");
        assert_eq!(stale(&root, &target), Some(Stale::Changed { what: source }));
    }

    #[test]
    fn a_file_that_is_missing_or_edited_is_stale() {
        let (root, target) = tree();
        let text = committed(root.path(), &target.path()).expect("it can be read").expect("it is there");
        write(&root, &target.path(), &text.replace("9.0\n", "9.1\n"));
        assert!(matches!(stale(&root, &target), Some(Stale::Stamp(StampError::Edited { .. }))));
        write(&root, &target.path(), &text.replace("compute_75", "compute_90"));
        assert_eq!(stale(&root, &target), Some(Stale::Changed { what: "the compiler's options".to_owned() }));
        fs::remove_file(root.path().join(target.path())).expect("it is there");
        assert_eq!(stale(&root, &target), Some(Stale::Missing));
    }

    #[test]
    fn another_text_of_the_same_sources_is_a_difference() {
        let (root, target) = tree();
        let text = committed(root.path(), &target.path()).expect("it can be read").expect("it is there");
        assert_eq!(target.difference(root.path(), &text).expect("it can be read"), None);
        let made = format!("{text}\tret;\n");
        let line = text.lines().count() + 1;
        assert_eq!(
            target.difference(root.path(), &made).expect("it can be read"),
            Some(Stale::Differs { line })
        );
    }

    #[test]
    fn a_file_that_nothing_makes_is_found() {
        let (root, target) = tree();
        assert_eq!(strays(root.path()).expect("the folders can be read"), Vec::<String>::new());
        let stray = format!("{}/old.ptx", units::PTX);
        write(&root, &stray, "");
        assert_eq!(strays(root.path()).expect("the folders can be read"), [stray]);
        let files = ptx_files(root.path(), units::PTX).expect("it can be read");
        assert!(files.len() == 2 && files.contains(&target.path()), "{files:?}");
    }

    /// Without the compiler: that the same sources still give the same text is what `just ptx-check` says.
    #[test]
    fn the_committed_ptx_was_made_from_the_committed_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        for target in Target::all() {
            let stale = target.stale(&root).unwrap_or_else(|error| panic!("{}: {error}", target.path()));
            if let Some(stale) = stale {
                panic!("{}: {stale}. Type: just ptx", target.path());
            }
        }
        assert_eq!(strays(&root).expect("the folders can be read"), Vec::<String>::new());
    }
}
