//! `gates`: what the committed PTX and the machine code made from it are held to.

use std::fmt::Write as _;
use std::path::Path;

use crate::stamp::Stamp;
use thiserror::Error;

use crate::limits::{FUSED, Limit, REGISTERS, WIDE, Wide, fits};
use crate::made::{MakeError, committed, ptx_files};
use crate::parallel::in_parallel;
use crate::place::Toolkit;
use crate::ptx::{kernels, violations};
use crate::ptxas::{ARCHES, Arch, Report, ToolError, Usage, assemble};
use crate::sass::{Machine, disassemble};
use crate::units::PTX;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// A row for each kernel and device, in the order of files.
    pub rows: Vec<Row>,
    /// How many gates were passed.
    pub passed: usize,
    /// What failed: file, kernel, device, what is wrong.
    pub failures: Vec<String>,
}

/// A kernel on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The device.
    pub arch: Arch,
    /// What it takes.
    pub usage: Usage,
    /// The most registers that it may take.
    pub limit: u32,
    /// What its machine code does.
    pub machine: Machine,
}

/// Why nothing is found.
#[derive(Debug, Error)]
pub enum GateError {
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] MakeError),
    /// There is no room for what is assembled.
    #[error("no temporary directory: {0}")]
    Temporary(std::io::Error),
}

/// Holds all committed PTX to all gates.
///
/// # Errors
/// When the PTX cannot be read. That a tool refuses it is a failure among the others.
pub fn gates(root: &Path, toolkit: &Toolkit) -> Result<Findings, GateError> {
    let scratch = tempfile::tempdir().map_err(GateError::Temporary)?;
    let mut findings = Findings::default();
    let files = ptx_files(root, PTX)?;
    findings.hold(!files.is_empty(), || format!("{PTX}: there is no PTX. Type: just ptx"));
    let mut texts = Vec::new();
    for path in files {
        // Gone since the folder was read: as if it had never been there.
        if let Some(text) = committed(root, &path)? {
            of_text(&path, &text, &mut findings);
            texts.push((path, text));
        }
    }
    // The tools take seconds a file and device.
    let jobs: Vec<_> = texts.iter().flat_map(|file| ARCHES.map(|arch| (file, arch))).collect();
    let found = in_parallel(&jobs, |index, &((path, text), arch)| {
        let mut findings = Findings::default();
        let cubin = scratch.path().join(format!("{index}.cubin"));
        match tools(toolkit, arch, &root.join(path), &cubin) {
            Ok((report, machines)) => of_machine(path, arch, text, &report, &machines, &mut findings),
            Err(error) => findings.hold(false, || format!("{path} on {arch}: {error}")),
        }
        findings
    });
    for Findings { rows, passed, failures } in found {
        findings.rows.extend(rows);
        findings.passed += passed;
        findings.failures.extend(failures);
    }
    of_tables(&mut findings);
    Ok(findings)
}

fn tools(
    toolkit: &Toolkit,
    arch: Arch,
    ptx: &Path,
    cubin: &Path,
) -> Result<(Report, Vec<Machine>), ToolError> {
    Ok((assemble(toolkit, arch, ptx, cubin)?, disassemble(toolkit, cubin)?))
}

/// The gates on a file's text.
fn of_text(path: &str, text: &str, findings: &mut Findings) {
    let stamp = Stamp::verify(text);
    findings.hold(stamp.is_ok(), || {
        format!("{path}: {}", stamp.err().map_or(String::new(), |error| error.to_string()))
    });
    let violations = violations(text, FUSED);
    for kernel in kernels(text) {
        let of_kernel: Vec<_> =
            violations.iter().filter(|violation| violation.kernel == kernel.name).collect();
        findings.hold(of_kernel.is_empty(), || {
            let first = of_kernel[0];
            let more = match of_kernel.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            format!(
                "{path}, line {}: kernel {}: `{}`: {}{more}",
                first.line, first.kernel, first.text, first.why
            )
        });
    }
}

/// The gates on what the assembler and the disassembler say of a file for one device.
fn of_machine(
    path: &str,
    arch: Arch,
    text: &str,
    report: &Report,
    machines: &[Machine],
    findings: &mut Findings,
) {
    findings.hold(report.complaints.is_empty(), || {
        format!("{path} on {arch}: ptxas says: {}", report.complaints[0])
    });
    let names = kernels(text);
    findings.hold(!names.is_empty(), || format!("{path}: there is no kernel in it"));
    for kernel in names {
        let usage = report.kernels.iter().find(|usage| usage.kernel == kernel.name);
        let machine = machines.iter().find(|machine| machine.kernel == kernel.name);
        let (Some(usage), Some(machine)) = (usage, machine) else {
            findings.hold(false, || {
                format!("{path}: {} on {arch}: ptxas or nvdisasm says nothing of it", kernel.name)
            });
            continue;
        };
        let limit = limit_of(kernel.name);
        let at = format!("{path}: {} on {arch}", kernel.name);
        findings.hold(usage.stack == 0, || format!("{at}: a stack frame of {} bytes", usage.stack));
        findings.hold(usage.spill_stores == 0 && usage.spill_loads == 0, || {
            format!(
                "{at}: registers spill: {} bytes stored, {} loaded",
                usage.spill_stores, usage.spill_loads
            )
        });
        findings.hold((1..=limit.registers).contains(&usage.registers), || {
            let Limit { kernels, registers, reason } = limit;
            format!("{at}: {} registers; `{kernels}` may have {registers}: {reason}", usage.registers)
        });
        findings.hold(machine.local.is_none(), || {
            format!(
                "{at}: local memory in the machine code: {}",
                machine.local.as_deref().unwrap_or_default()
            )
        });
        for wide in WIDE.iter().filter(|wide| fits(wide.kernels, kernel.name)) {
            let &Wide { loads, stores, narrow_loads, reason, .. } = wide;
            findings.hold(machine.wide_loads >= loads && machine.wide_stores >= stores, || {
                format!(
                    "{at}: {} loads (LDG.E.128) and {} stores (STG.E.128) of 16 bytes; it {reason}: at least {loads} and {stores}",
                    machine.wide_loads, machine.wide_stores
                )
            });
            if let Some(most) = narrow_loads {
                findings.hold(machine.narrow_loads <= most, || {
                    format!(
                        "{at}: {} loads of fewer than 16 bytes; it {reason}: at most {most}",
                        machine.narrow_loads
                    )
                });
            }
        }
        findings.rows.push(Row {
            arch,
            usage: usage.clone(),
            limit: limit.registers,
            machine: machine.clone(),
        });
    }
}

/// That no entry of the tables is left over from kernels that are gone.
fn of_tables(findings: &mut Findings) {
    let names: Vec<String> = findings.rows.iter().map(|row| row.usage.kernel.clone()).collect();
    for limit in REGISTERS {
        let used = names.iter().any(|name| limit_of(name) == limit);
        findings.hold(used, || format!("the limit on registers of `{}` is of no kernel", limit.kernels));
    }
    for wide in WIDE {
        let used = names.iter().any(|name| fits(wide.kernels, name));
        findings
            .hold(used, || format!("the 16-byte loads and stores of `{}` are of no kernel", wide.kernels));
    }
    for (start, opcode) in FUSED {
        let used = names.iter().any(|name| name.starts_with(start));
        findings.hold(used, || format!("`{opcode}` is allowed in `{start}…`, which no kernel is named"));
    }
}

fn limit_of(kernel: &str) -> &'static Limit {
    const ALL: &Limit = &REGISTERS[REGISTERS.len() - 1];
    REGISTERS.iter().find(|limit| fits(limit.kernels, kernel)).unwrap_or(ALL)
}

impl Findings {
    fn hold(&mut self, passed: bool, failure: impl FnOnce() -> String) {
        if passed {
            self.passed += 1;
        } else {
            self.failures.push(failure());
        }
    }

    /// A table of all kernels on all devices.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.usage.kernel.len()).max().unwrap_or(0).max("kernel".len());
        let mut table = format!(
            "{:width$}  {:6} {:>9} {:>6} {:>7} {:>7} {:>11} {:>12}\n",
            "kernel", "arch", "registers", "limit", "shared", "spilled", "16-B loads", "16-B stores"
        );
        for Row { arch, usage, limit, machine } in &self.rows {
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{:width$}  {:6} {:>9} {limit:>6} {:>7} {:>7} {:>11} {:>12}",
                usage.kernel,
                arch.0,
                usage.registers,
                usage.shared,
                usage.spill_stores + usage.spill_loads,
                format!("{} of {}", machine.wide_loads, machine.wide_loads + machine.narrow_loads),
                format!("{} of {}", machine.wide_stores, machine.wide_stores + machine.narrow_stores),
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "bn_normalise_f32_acc32";

    fn text() -> String {
        format!(".visible .entry {NAME}(\n)\n{{\n\tadd.rn.f32 %f1, %f2, %f3;\n\tret;\n}}\n")
    }

    fn clean() -> (Report, Vec<Machine>) {
        let usage = Usage { kernel: NAME.to_owned(), registers: 64, shared: 32, ..Usage::default() };
        let machine =
            Machine { kernel: NAME.to_owned(), wide_loads: 4, wide_stores: 4, ..Machine::default() };
        (Report { kernels: vec![usage], complaints: Vec::new() }, vec![machine])
    }

    fn failures(change: impl FnOnce(&mut Report, &mut Vec<Machine>)) -> Vec<String> {
        let (mut report, mut machines) = clean();
        change(&mut report, &mut machines);
        let mut findings = Findings::default();
        of_machine("a.ptx", Arch("sm_90"), &text(), &report, &machines, &mut findings);
        findings.failures
    }

    #[test]
    fn a_clean_kernel_passes_every_gate() {
        let (report, machines) = clean();
        let mut findings = Findings::default();
        of_machine("a.ptx", Arch("sm_90"), &text(), &report, &machines, &mut findings);
        assert_eq!(findings.failures, Vec::<String>::new());
        assert_eq!(findings.passed, 7);
        assert_eq!(findings.rows.len(), 1);
        let table = findings.table();
        assert!(table.contains(NAME) && table.contains("4 of 4"), "{table}");
    }

    #[test]
    fn each_gate_names_kernel_and_device() {
        for (change, expected) in [
            (
                (|report, _| report.kernels[0].registers = 65) as fn(&mut Report, &mut Vec<Machine>),
                "65 registers; `*`",
            ),
            (|report, _| report.kernels[0].registers = 0, "0 registers"),
            (|report, _| report.kernels[0].stack = 16, "a stack frame of 16 bytes"),
            (|report, _| report.kernels[0].spill_stores = 4, "registers spill: 4 bytes stored, 0 loaded"),
            (|report, _| report.kernels[0].spill_loads = 8, "registers spill: 0 bytes stored, 8 loaded"),
            (|_, machines| machines[0].local = Some("LDL R2, [R1]".to_owned()), "machine code: LDL R2, [R1]"),
            (|_, machines| machines[0].wide_loads = 0, "0 loads (LDG.E.128) and 4 stores"),
            (
                |_, machines| machines[0].wide_stores = 0,
                "it reads x and writes y, the tail element by element: at least 1 and 1",
            ),
            (|report, _| report.kernels.clear(), "says nothing of it"),
            (|_, machines| machines.clear(), "says nothing of it"),
        ] {
            let failures = failures(change);
            assert_eq!(failures.len(), 1, "{expected}: {failures:?}");
            assert!(failures[0].contains(expected), "{expected}: {failures:?}");
            assert!(failures[0].starts_with(&format!("a.ptx: {NAME} on sm_90: ")), "{failures:?}");
        }
    }

    #[test]
    fn a_load_that_was_taken_apart_is_a_failure() {
        let name = "bn_statistics_rows_f32_acc32_v16";
        let usage = Usage { kernel: name.to_owned(), registers: 64, ..Usage::default() };
        let report = Report { kernels: vec![usage], complaints: Vec::new() };
        let machine =
            Machine { kernel: name.to_owned(), wide_loads: 1, narrow_loads: 2, ..Machine::default() };
        let mut findings = Findings::default();
        of_machine("a.ptx", Arch("sm_90"), &text().replace(NAME, name), &report, &[machine], &mut findings);
        assert_eq!(
            findings.failures,
            [format!(
                "a.ptx: {name} on sm_90: 2 loads of fewer than 16 bytes; it reads x and nothing else: at most 0"
            )]
        );
    }

    #[test]
    fn a_warning_of_the_assembler_is_a_failure() {
        let failures = failures(|report, _| report.complaints.push("ptxas warning : so so".to_owned()));
        assert_eq!(failures, ["a.ptx on sm_90: ptxas says: ptxas warning : so so"]);
    }

    #[test]
    fn a_file_that_is_not_stamped_and_fuses_fails_twice() {
        let mut findings = Findings::default();
        of_text("a.ptx", &text().replace("add.rn", "fma.rn"), &mut findings);
        assert_eq!(findings.failures.len(), 2, "{:?}", findings.failures);
        assert!(findings.failures[0].contains("just ptx"), "{:?}", findings.failures);
        assert!(
            findings.failures[1].starts_with("a.ptx, line 4: kernel bn_normalise"),
            "{:?}",
            findings.failures
        );
    }

    #[test]
    fn an_entry_of_a_table_that_is_of_no_kernel_is_a_failure() {
        let mut findings = Findings::default();
        of_tables(&mut findings);
        assert_eq!(findings.failures.len(), REGISTERS.len() + WIDE.len() + FUSED.len());
        assert_eq!(findings.passed, 0);
    }
}
