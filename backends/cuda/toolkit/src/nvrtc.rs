//! CUDA C++ to PTX, with NVRTC in this process.

use std::ffi::{CString, NulError, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr;

use cudarc::nvrtc::result::{NvrtcError, compile_program, destroy_program, get_program_log, get_ptx};
use cudarc::nvrtc::sys;
use libloading::Library;
use thiserror::Error;

use crate::place::{Toolkit, VERSION};
use crate::sources::File;

/// The options of every unit, besides its definitions.
///
/// - `compute_75`: the oldest that a driver of CUDA 13 runs; every newer device assembles it for itself.
/// - `--fmad=false`: no product and sum become one operation with one rounding, and each says `.rn`, so that
///   the assembler does not do it either.
/// - `-lineinfo`: the interpreter says which line of CUDA C++ does wrong.
pub const OPTIONS: &[&str] = &["--gpu-architecture=compute_75", "--fmad=false", "--std=c++17", "-lineinfo"];

/// The compiler, loaded.
#[derive(Debug)]
pub struct Nvrtc {
    /// Kept, so that cudarc finds the library by its name among those that are loaded.
    _libraries: [Library; 2],
}

/// What the compiler makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The PTX. No path in it is of this machine.
    pub ptx: String,
    /// What the compiler warns of; empty if of nothing.
    pub warnings: String,
}

/// Why there is no PTX.
#[derive(Debug, Error)]
pub enum CompileError {
    /// NVRTC is not there.
    #[error("NVRTC cannot be loaded: {0}. Install it: backends/cuda/toolkit/setup")]
    NoNvrtc(String),
    /// Another NVRTC than the one that is pinned has got in between.
    #[error(
        "this PTX is of another NVRTC than {VERSION}: it says `{found}`. Where a CUDA toolkit is on LD_LIBRARY_PATH, take \
         it off"
    )]
    OtherNvrtc {
        /// What the PTX says it was made by.
        found: String,
    },
    /// The source does not compile.
    #[error("{path} does not compile:\n{log}")]
    Source {
        /// The file that was compiled.
        path: String,
        /// NVRTC's log, its paths those of the repository.
        log: String,
    },
    /// A source holds a zero byte.
    #[error("{path} has a zero byte in it")]
    ZeroByte {
        /// The file.
        path: String,
    },
    /// A function of NVRTC fails for another reason.
    #[error("{call} failed: {error}")]
    Nvrtc {
        /// The function.
        call: &'static str,
        /// Its error.
        error: NvrtcError,
    },
    /// The PTX speaks of a file that the unit does not have.
    #[error("the PTX names the file `{0}`, which is none of the unit's")]
    StrayFile(PathBuf),
    /// The PTX is not text.
    #[error("the PTX is not UTF-8")]
    NotText,
}

impl Nvrtc {
    /// Loads the compiler from its place.
    ///
    /// # Errors
    /// When it does not load.
    pub fn load(toolkit: &Toolkit) -> Result<Self, CompileError> {
        let libraries = [open(&toolkit.nvrtc_builtins())?, open(&toolkit.nvrtc())?];
        // SAFETY: it only tries to open libraries of NVRTC's names, whose initialisers ran above.
        #[allow(unsafe_code)]
        let present = catch_unwind(|| unsafe { sys::is_culib_present() }).unwrap_or(false);
        if !present {
            return Err(CompileError::NoNvrtc("cudarc does not find it by its name".to_owned()));
        }
        Ok(Self { _libraries: libraries })
    }

    /// Compiles the first of some files, which may include the others.
    ///
    /// # Errors
    /// When it does not compile; the message has NVRTC's log, with files and lines.
    pub fn compile(&self, files: &[File], defines: &[&str]) -> Result<Compiled, CompileError> {
        // cudarc panics where a symbol is missing: an NVRTC that is too old, or not one.
        catch_unwind(AssertUnwindSafe(|| compile(files, defines))).unwrap_or_else(|_| {
            Err(CompileError::NoNvrtc("cudarc does not find all functions in it".to_owned()))
        })
    }
}

fn open(path: &Path) -> Result<Library, CompileError> {
    // SAFETY: NVRTC's own libraries, pinned by their hashes; their initialisers need nothing of ours.
    #[allow(unsafe_code)]
    let library = unsafe { Library::new(path) };
    library.map_err(|error| CompileError::NoNvrtc(error.to_string()))
}

/// A program of NVRTC, and what it may point to until it is destroyed.
struct Program {
    handle: sys::nvrtcProgram,
    _strings: Vec<CString>,
}

impl Program {
    fn new(files: &[File]) -> Result<Self, CompileError> {
        let zero = |file: &File| CompileError::ZeroByte { path: file.path() };
        let mut texts = Vec::new();
        let mut names = Vec::new();
        for (index, file) in files.iter().enumerate() {
            texts.push(CString::new(file.text.as_str()).map_err(|_: NulError| zero(file))?);
            // A header is known by what stands in the line that includes it.
            let name = if index == 0 { file.path() } else { file.name.clone() };
            names.push(CString::new(name).map_err(|_: NulError| zero(file))?);
        }
        let pointers =
            |strings: &[CString]| strings.iter().map(|text| text.as_ptr()).collect::<Vec<*const c_char>>();
        let (text_pointers, name_pointers) = (pointers(&texts), pointers(&names));
        let mut handle = ptr::null_mut();
        // SAFETY: all pointers are to zero-terminated strings that `Program` keeps; the two arrays have as
        // many elements as is said.
        #[allow(unsafe_code)]
        let result = unsafe {
            sys::nvrtcCreateProgram(
                &raw mut handle,
                text_pointers[0],
                name_pointers[0],
                (files.len() - 1) as c_int,
                text_pointers[1..].as_ptr(),
                name_pointers[1..].as_ptr(),
            )
        };
        result.result().map_err(|error| CompileError::Nvrtc { call: "nvrtcCreateProgram", error })?;
        texts.append(&mut names);
        Ok(Self { handle, _strings: texts })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: made by `nvrtcCreateProgram`, destroyed once. There is nobody to tell of a failure.
        #[allow(unsafe_code)]
        let _ = unsafe { destroy_program(self.handle) };
    }
}

fn compile(files: &[File], defines: &[&str]) -> Result<Compiled, CompileError> {
    let program = Program::new(files)?;
    // SAFETY: the program was created above and is not destroyed before the end of this function.
    #[allow(unsafe_code)]
    let (result, log) =
        unsafe { (compile_program(program.handle, &options(defines)), get_program_log(program.handle)) };
    let log = log.map_err(|error| CompileError::Nvrtc { call: "nvrtcGetProgramLog", error })?;
    let log = readable_log(&text(&log)?, files);
    match result {
        Ok(()) => {}
        Err(NvrtcError(sys::nvrtcResult::NVRTC_ERROR_COMPILATION)) => {
            return Err(CompileError::Source { path: files[0].path(), log });
        }
        Err(error) => return Err(CompileError::Nvrtc { call: "nvrtcCompileProgram", error }),
    }
    // SAFETY: as above.
    #[allow(unsafe_code)]
    let ptx = unsafe { get_ptx(program.handle) };
    let ptx = text(&ptx.map_err(|error| CompileError::Nvrtc { call: "nvrtcGetPTX", error })?)?;
    let found =
        ptx.lines().find_map(|line| line.strip_prefix("// Cuda compilation tools, ")).unwrap_or("nothing");
    if !found.ends_with(&format!("V{VERSION}")) {
        return Err(CompileError::OtherNvrtc { found: found.to_owned() });
    }
    Ok(Compiled { ptx: repository_paths(&ptx, files)?, warnings: log })
}

/// All options of a unit.
pub fn options(defines: &[&str]) -> Vec<String> {
    let defines = defines.iter().map(|define| format!("-D{define}"));
    OPTIONS.iter().map(ToString::to_string).chain(defines).collect()
}

/// What NVRTC returns, up to its zero byte.
fn text(bytes: &[c_char]) -> Result<String, CompileError> {
    let bytes = bytes.iter().map(|byte| byte.cast_unsigned()).take_while(|&byte| byte != 0).collect();
    String::from_utf8(bytes).map_err(|_| CompileError::NotText)
}

/// The log with the names of headers made paths of the repository.
fn readable_log(log: &str, files: &[File]) -> String {
    let mut readable = String::new();
    for line in log.trim_end().lines() {
        let header = files[1..]
            .iter()
            .find(|file| line.strip_prefix(&file.name).is_some_and(|rest| rest.starts_with('(')));
        match header {
            Some(file) => readable.extend([&file.path(), &line[file.name.len()..], "\n"]),
            None => readable.extend([line, "\n"]),
        }
    }
    readable
}

/// The PTX with the paths of its sources made those of the repository: NVRTC puts the working directory
/// before them.
fn repository_paths(ptx: &str, files: &[File]) -> Result<String, CompileError> {
    let mut out = String::with_capacity(ptx.len());
    for line in ptx.split_inclusive('\n') {
        let Some((before, path)) =
            line.trim_end().strip_prefix("\t.file\t").and_then(|rest| rest.split_once('"'))
        else {
            out.push_str(line);
            continue;
        };
        let path = Path::new(path.trim_end_matches('"'));
        let file = files
            .iter()
            .find(|file| path.ends_with(file.path()))
            .or_else(|| files[1..].iter().find(|file| path.ends_with(&file.name)))
            .ok_or_else(|| CompileError::StrayFile(path.to_owned()))?;
        out.extend(["\t.file\t", before, "\"", &file.path(), "\"\n"]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<File> {
        ["a.cu", "b.cuh"].map(|name| File { name: name.to_owned(), text: String::new() }).to_vec()
    }

    #[test]
    fn no_path_of_the_machine_stays_in_the_ptx() {
        let ptx = "\tret;\n\t.file\t1 \"/me/backends/cuda/kernels/a.cu\"\n\t.file\t2 \"/me/b.cuh\"\n";
        assert_eq!(
            repository_paths(ptx, &files()).expect("both are ours"),
            "\tret;\n\t.file\t1 \"backends/cuda/kernels/a.cu\"\n\t.file\t2 \"backends/cuda/kernels/b.cuh\"\n"
        );
    }

    #[test]
    fn a_file_that_is_not_the_units_is_an_error() {
        let error = repository_paths("\t.file\t1 \"/usr/include/cuda_fp16.h\"\n", &files())
            .expect_err("it is CUDA's");
        assert!(error.to_string().contains("`/usr/include/cuda_fp16.h`"), "{error}");
    }

    #[test]
    fn a_log_names_headers_by_their_paths() {
        let log = "backends/cuda/kernels/a.cu(1): error: no\nb.cuh(2): error: nor this\n  b.cuh\n\n";
        assert_eq!(
            readable_log(log, &files()),
            "backends/cuda/kernels/a.cu(1): error: no\nbackends/cuda/kernels/b.cuh(2): error: nor this\n  b.cuh\n"
        );
    }

    #[test]
    fn definitions_come_after_the_options_of_all() {
        let options = options(&["X=f32"]);
        assert_eq!(options[..OPTIONS.len()], *OPTIONS);
        assert_eq!(options[OPTIONS.len()..], ["-DX=f32"]);
    }
}
