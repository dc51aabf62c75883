//! The machine code: whether memory is moved as widely as it was meant to be.

use std::path::Path;
use std::process::Command;

use crate::place::Toolkit;
use crate::ptxas::{ToolError, run};

/// What a kernel's machine code does with memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel.
    pub kernel: String,
    /// Instructions that load 16 bytes of global memory a thread (`LDG.E.128`).
    pub wide_loads: u32,
    /// Instructions that store 16 bytes of global memory a thread (`STG.E.128`).
    pub wide_stores: u32,
    /// Instructions that load fewer.
    pub narrow_loads: u32,
    /// Instructions that store fewer.
    pub narrow_stores: u32,
    /// The first instruction that touches local memory, if one does.
    pub local: Option<String>,
}

/// Disassembles a cubin.
///
/// # Errors
/// When the disassembler fails.
pub fn disassemble(toolkit: &Toolkit, cubin: &Path) -> Result<Vec<Machine>, ToolError> {
    let mut command = Command::new(toolkit.nvdisasm());
    command.arg("--print-code").arg(cubin);
    let (code, _) = run("nvdisasm", &mut command)?;
    Ok(parse(&code))
}

/// Reads what `nvdisasm --print-code` says: a label `.text.NAME:` begins a kernel, and an instruction is
///
/// ```text
///         /*00e0*/               @P0 LDG.E.128 R4, desc[UR4][R6.64] ;
/// ```
pub fn parse(code: &str) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for line in code.lines() {
        if let Some(name) = line.strip_prefix(".text.").and_then(|rest| rest.strip_suffix(':')) {
            machines.push(Machine { kernel: name.to_owned(), ..Machine::default() });
        }
        let (Some(machine), Some(instruction)) = (machines.last_mut(), instruction(line)) else { continue };
        let mut words = instruction.split_whitespace();
        let opcode = words.find(|word| !word.starts_with('@')).unwrap_or_default();
        let mut parts = opcode.split('.');
        let base = parts.next().unwrap_or_default();
        let wide = parts.any(|part| part == "128");
        match (base, wide) {
            ("LDG", true) => machine.wide_loads += 1,
            ("LDG", false) => machine.narrow_loads += 1,
            ("STG", true) => machine.wide_stores += 1,
            ("STG", false) => machine.narrow_stores += 1,
            ("LDL" | "STL", _) => {
                machine.local.get_or_insert_with(|| instruction.to_owned());
            }
            _ => {}
        }
    }
    machines
}

/// The instruction of a line, without its address.
fn instruction(line: &str) -> Option<&str> {
    let (_, instruction) = line.trim_start().strip_prefix("/*")?.split_once("*/")?;
    Some(instruction.trim().trim_end_matches(';').trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
	.target	sm_90
//--------------------- .text.first               --------------------------
first:
.text.first:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/                   LDG.E.128 R4, desc[UR4][R6.64] ;
        /*0020*/              @!P0 LDG.E.128.SYS R4, [R2.64+UR4] ;
        /*0030*/                   LDG.E.U16 R4, [R4.64] ;
        /*0040*/                   LDG.E R4, [R4.64] ;
        /*0050*/               @P1 STG.E.128 desc[UR4][R12.64], R8 ;
        /*0060*/                   STG.E.64 desc[UR4][R12.64], R8 ;
        /*0070*/                   LDS.128 R8, [R2] ;
.L_x_1:
        /*0080*/                   BRA `(.L_x_1);
.text.second:
        /*0000*/                   STL.64 [R1+0x8], R2 ;
        /*0010*/                   LDL R2, [R1] ;
";

    #[test]
    fn loads_and_stores_are_counted_by_width() {
        let machines = parse(CODE);
        assert_eq!(
            machines[0],
            Machine {
                kernel: "first".to_owned(),
                wide_loads: 2,
                wide_stores: 1,
                narrow_loads: 2,
                narrow_stores: 1,
                local: None,
            }
        );
    }

    #[test]
    fn local_memory_is_found() {
        let machines = parse(CODE);
        assert_eq!(machines.len(), 2);
        assert_eq!(machines[1].local.as_deref(), Some("STL.64 [R1+0x8], R2"));
    }
}
