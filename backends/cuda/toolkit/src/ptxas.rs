//! The assembler: what a kernel takes of a multiprocessor.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;

use thiserror::Error;

use crate::place::Toolkit;

/// A generation of devices that the kernels are assembled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arch(pub &'static str);

/// Turing, Ampere, Hopper: the oldest that CUDA 13 knows, the A100, the H100.
pub const ARCHES: [Arch; 3] = [Arch("sm_75"), Arch("sm_80"), Arch("sm_90")];

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a kernel takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The kernel.
    pub kernel: String,
    /// Registers of a thread, of 32 bits each.
    pub registers: u32,
    /// Bytes of shared memory of a block.
    pub shared: u32,
    /// Bytes of a thread's stack frame.
    pub stack: u32,
    /// Bytes that spilled registers are stored by.
    pub spill_stores: u32,
    /// Bytes that spilled registers are loaded by.
    pub spill_loads: u32,
}

/// What the assembler says of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Of each kernel.
    pub kernels: Vec<Usage>,
    /// Every line that is not information: warnings, and what it never said before.
    pub complaints: Vec<String>,
}

/// Why a tool gives no answer.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It does not start.
    #[error("{tool} cannot be started: {cause}")]
    Start {
        /// The tool.
        tool: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// It fails.
    #[error("{tool} fails ({status}):\n{output}")]
    Failed {
        /// The tool.
        tool: &'static str,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
}

/// Assembles a PTX file into `cubin`.
///
/// # Errors
/// When the assembler refuses the file, with its messages.
pub fn assemble(toolkit: &Toolkit, arch: Arch, ptx: &Path, cubin: &Path) -> Result<Report, ToolError> {
    let mut command = Command::new(toolkit.ptxas());
    command.arg(format!("-arch={arch}")).arg("-v").arg(ptx).arg("-o").arg(cubin);
    // All that it says goes to its standard error.
    let (_, said) = run("ptxas", &mut command)?;
    Ok(parse(&said))
}

/// Runs a tool; returns what it wrote to its standard output and error.
///
/// # Errors
/// When it does not start, or ends with another exit code than 0.
pub fn run(tool: &'static str, command: &mut Command) -> Result<(String, String), ToolError> {
    let output = command.output().map_err(|cause| ToolError::Start { tool, cause })?;
    let [out, error] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    if output.status.success() {
        Ok((out, error))
    } else {
        let output_text = format!("{out}{error}");
        Err(ToolError::Failed {
            tool,
            status: output.status.to_string(),
            output: output_text.trim_end().to_owned(),
        })
    }
}

/// Reads what `ptxas -v` says. Per kernel that is:
///
/// ```text
/// ptxas info    : Compiling entry function 'NAME' for 'sm_90'
/// ptxas info    : Function properties for NAME
///     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
/// ptxas info    : Used 19 registers, used 1 barriers, 256 bytes smem, 384 bytes cmem[0]
/// ptxas info    : Compile time = 8.728 ms
/// ```
pub fn parse(said: &str) -> Report {
    let mut report = Report::default();
    for line in said.lines() {
        if let Some(info) = line.strip_prefix("ptxas info    : ") {
            if let Some(name) = info.strip_prefix("Compiling entry function '") {
                let kernel = name.split('\'').next().unwrap_or(name).to_owned();
                report.kernels.push(Usage { kernel, ..Usage::default() });
            } else if let (true, Some(usage)) = (info.starts_with("Used "), report.kernels.last_mut()) {
                usage.registers = number_before(info, " registers");
                usage.shared = number_before(info, " bytes smem");
                usage.stack = usage.stack.max(number_before(info, " bytes cumulative stack size"));
            }
        } else if let (true, Some(usage)) = (line.contains(" bytes stack frame, "), report.kernels.last_mut())
        {
            usage.stack = number_before(line, " bytes stack frame");
            usage.spill_stores = number_before(line, " bytes spill stores");
            usage.spill_loads = number_before(line, " bytes spill loads");
        } else if !line.trim().is_empty() {
            report.complaints.push(line.trim().to_owned());
        }
    }
    report
}

/// The number that stands before some words; 0 if they are not there.
fn number_before(line: &str, words: &str) -> u32 {
    let Some(at) = line.find(words) else { return 0 };
    let digits = line[..at].rsplit(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'big' for 'sm_90'
ptxas info    : Function properties for big
    976 bytes stack frame, 656 bytes spill stores, 752 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 976 bytes cumulative stack size
ptxas info    : Compile time = 55.328 ms
ptxas info    : Compiling entry function 'small' for 'sm_90'
ptxas info    : Function properties for small
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 72 registers, used 1 barriers, 32 bytes smem, 384 bytes cmem[0]
ptxas info    : Compile time = 6.652 ms
";

    #[test]
    fn what_the_assembler_says_of_kernels_is_read() {
        let report = parse(SAID);
        assert_eq!(report.complaints, Vec::<String>::new());
        assert_eq!(
            report.kernels,
            [
                Usage {
                    kernel: "big".to_owned(),
                    registers: 32,
                    shared: 0,
                    stack: 976,
                    spill_stores: 656,
                    spill_loads: 752,
                },
                Usage { kernel: "small".to_owned(), registers: 72, shared: 32, ..Usage::default() },
            ]
        );
    }

    #[test]
    fn a_stack_that_only_the_total_shows_is_read() {
        let said = SAID.replace("976 bytes stack frame", "0 bytes stack frame");
        assert_eq!(parse(&said).kernels[0].stack, 976);
    }

    #[test]
    fn everything_else_is_a_complaint() {
        let warning = "ptxas warning : Local memory used for function 'big', size of stack frame: 976 bytes";
        let report = parse(&format!("{warning}\n{SAID}something new\n"));
        assert_eq!(report.complaints, [warning, "something new"]);
        assert_eq!(report.kernels.len(), 2);
    }
}
