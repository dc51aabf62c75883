//! PTX as text: its kernels, their instructions, and what none of them may do.

use std::fmt;

/// A kernel of a PTX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its lines, from that of its name to the closing brace, with the numbers that they have in the file.
    pub lines: Vec<(usize, &'a str)>,
}

/// The kernels of a file, in its order.
pub fn kernels(text: &str) -> Vec<Kernel<'_>> {
    let mut kernels = Vec::new();
    let mut open: Option<Kernel<'_>> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(name) = entry(line) {
            open = Some(Kernel { name, lines: Vec::new() });
        }
        if let Some(kernel) = &mut open {
            kernel.lines.push((index + 1, line));
            if line == "}" {
                kernels.extend(open.take());
            }
        }
    }
    kernels
}

/// The name of the kernel that begins with a line.
fn entry(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(".visible ").unwrap_or(line).strip_prefix(".entry ")?;
    Some(rest.split(['(', ' ']).next().unwrap_or(rest))
}

/// The text without the kernels that are not to be kept.
///
/// # Errors
/// The first name to keep that is none of its kernels'.
pub fn keep<'a>(text: &str, names: &[&'a str]) -> Result<String, &'a str> {
    let mut kept = vec![false; names.len()];
    let mut out = String::with_capacity(text.len());
    let mut inside: Option<bool> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if let Some(name) = entry(bare) {
            let index = names.iter().position(|candidate| *candidate == name);
            if let Some(index) = index {
                kept[index] = true;
            }
            inside = Some(index.is_some());
        }
        let comment = bare.trim_start().strip_prefix("// .globl").map(str::trim);
        let dropped = inside == Some(false) || comment.is_some_and(|name| !names.contains(&name));
        if !dropped {
            out.push_str(line);
        }
        if bare == "}" {
            inside = None;
        }
    }
    kept.iter().position(|kept| !kept).map_or(Ok(out), |missing| Err(names[missing]))
}

/// Something that no kernel may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The kernel.
    pub kernel: String,
    /// The line of the file.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// Why it may not.
    pub why: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: `{}`: {}", self.kernel, self.line, self.text, self.why)
    }
}

/// What the kernels of a file do that none may. `allowed` are pairs of what a kernel's name begins with and
/// an opcode that such kernels may fuse.
pub fn violations(text: &str, allowed: &[(&str, &str)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for kernel in kernels(text) {
        for &(line, text) in &kernel.lines {
            let Some(opcode) = opcode(text) else { continue };
            if allowed.iter().any(|(start, fused)| kernel.name.starts_with(start) && opcode == *fused) {
                continue;
            }
            found.extend(forbidden(opcode).map(|why| Violation {
                kernel: kernel.name.to_owned(),
                line,
                text: text.trim().to_owned(),
                why,
            }));
        }
    }
    found
}

/// The opcode of a line, or its directive; none of a label, a comment, a brace.
fn opcode(line: &str) -> Option<&str> {
    let line = line.split("//").next().unwrap_or_default().trim();
    let line = match line.strip_prefix('@') {
        Some(guarded) => guarded.split_once(char::is_whitespace)?.1.trim_start(),
        None => line,
    };
    let opcode = line.split(|c: char| c.is_whitespace() || c == ';').next()?;
    let first = opcode.strip_prefix('.').unwrap_or(opcode).chars().next()?;
    (first.is_ascii_alphabetic() && !opcode.ends_with(':')).then_some(opcode)
}

/// Why an opcode may not be there, if it may not.
fn forbidden(opcode: &str) -> Option<&'static str> {
    let mut parts = opcode.strip_prefix('.').unwrap_or(opcode).split('.');
    let base = parts.next().unwrap_or_default();
    let parts: Vec<_> = parts.collect();
    let has = |part: &str| parts.contains(&part);
    let float = ["f16", "f16x2", "bf16", "bf16x2", "f32", "f32x2", "f64"].into_iter().any(has);
    let rounded = ["rn", "rz", "rm", "rp"].into_iter().any(has);
    match base {
        _ if opcode.starts_with('.') => {
            (base == "local").then_some("local memory is slow, and no kernel needs it")
        }
        _ if has("approx") || has("full") => Some("an approximation: IEEE's operation is asked for by `.rn`"),
        _ if has("ftz") => Some("it takes subnormal numbers for zero"),
        "fma" => Some("a product and a sum fused, which nobody asked for"),
        "mad" if float => Some("a product and a sum fused, which nobody asked for"),
        "add" | "sub" | "mul" | "div" | "rcp" | "sqrt" if float && !rounded => {
            Some("no rounding is said, so the assembler may fuse it")
        }
        "atom" | "red" => Some("the order of atomic operations is another on every run"),
        "call" => Some("a call: everything is to be inlined"),
        _ if has("local") => Some("local memory is slow, and no kernel needs it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTX: &str = "\
.version 9.0
.target sm_75

	// .globl	first

.visible .entry first(
	.param .u64 first_param_0
)
{
	.reg .f32 	%f<4>;
	add.rn.f32 	%f1, %f2, %f3;
$L__BB0_1:
	@%p1 bra 	$L__BB0_1;
	ret;

}
	// .globl	second
.visible .entry second(
)
.maxntid 256, 1, 1
{
	{
	cvt.f32.f16 %f1, %rs1;
	}
	ret;
}
	.file	1 \"a.cu\"
";

    #[test]
    fn kernels_are_found_with_their_lines() {
        let found = kernels(PTX);
        assert_eq!(found.iter().map(|kernel| kernel.name).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(found[0].lines.first(), Some(&(6, ".visible .entry first(")));
        assert_eq!(found[0].lines.last(), Some(&(16, "}")));
        assert_eq!(found[1].lines.len(), 9);
    }

    #[test]
    fn only_the_kernels_that_are_named_are_kept() {
        let kept = keep(PTX, &["second"]).expect("it is there");
        assert_eq!(kernels(&kept).iter().map(|kernel| kernel.name).collect::<Vec<_>>(), ["second"]);
        assert!(kept.starts_with(".version 9.0\n") && kept.ends_with("\t.file\t1 \"a.cu\"\n"), "{kept}");
        assert!(!kept.contains("first"), "{kept}");
        assert_eq!(keep(PTX, &["first", "second"]).as_deref(), Ok(PTX));
        assert_eq!(keep(PTX, &["first", "third"]), Err("third"));
    }

    #[test]
    fn opcodes_are_read_past_guards_and_braces() {
        for (line, expected) in [
            ("\tadd.rn.f32 \t%f1, %f2, %f3;", Some("add.rn.f32")),
            ("\t@%p1 bra \t$L__BB0_1;", Some("bra")),
            ("\t@!%p1 bra.uni $L__BB0_1; // fma.rn.f32", Some("bra.uni")),
            ("\tret;", Some("ret")),
            ("\t.loc\t1 2 3", Some(".loc")),
            ("$L__BB0_1:", None),
            ("// fma.rn.f32", None),
            ("\t{", None),
            ("", None),
        ] {
            assert_eq!(opcode(line), expected, "{line}");
        }
    }

    fn with(line: &str) -> Vec<Violation> {
        violations(&PTX.replace("\tadd.rn.f32 \t%f1, %f2, %f3;", line), &[])
    }

    #[test]
    fn a_clean_file_has_no_violations() {
        assert_eq!(violations(PTX, &[]), []);
        for line in [
            "\tdiv.rn.f32 %f1, %f2, %f3;",
            "\tsqrt.rn.f64 %fd1, %fd2;",
            "\tmad.lo.s32 %r1, %r2, %r3, %r4;",
            "\tdiv.u64 %rd1, %rd2, %rd3;",
            "\tadd.s64 %rd1, %rd2, %rd3;",
            "\tredux.sync.add.s32 %r1, %r2, %r3;",
            "\tabs.f32 %f1, %f2;",
        ] {
            assert_eq!(with(line), [], "{line}");
        }
    }

    #[test]
    fn what_no_kernel_may_do_is_found_with_its_line() {
        for line in [
            "\tdiv.approx.f32 %f1, %f2, %f3;",
            "\tdiv.full.f32 %f1, %f2, %f3;",
            "\trsqrt.approx.f32 %f1, %f2;",
            "\tadd.rn.ftz.f32 %f1, %f2, %f3;",
            "\tfma.rn.f32 %f1, %f2, %f3, %f4;",
            "\t@%p1 fma.rn.f64 %fd1, %fd2, %fd3, %fd4;",
            "\tmad.rn.f32 %f1, %f2, %f3, %f4;",
            "\tmul.f32 %f1, %f2, %f3;",
            "\tadd.f64 %fd1, %fd2, %fd3;",
            "\tatom.global.add.f32 %f1, [%rd1], %f2;",
            "\tred.global.add.f32 [%rd1], %f2;",
            "\t.local .align 16 .b8 __local_depot0[256];",
            "\tst.local.f32 [%rd1], %f2;",
            "\tcvta.local.u64 %rd1, %rd2;",
            "\tcall.uni (retval0), f, (param0);",
        ] {
            let found = with(line);
            assert_eq!(found.len(), 1, "{line}");
            assert_eq!(
                (found[0].kernel.as_str(), found[0].line, found[0].text.as_str()),
                ("first", 11, line.trim())
            );
        }
    }

    #[test]
    fn a_fused_operation_that_was_asked_for_is_allowed() {
        let text = PTX.replace("add.rn.f32 \t%f1, %f2, %f3;", "fma.rn.f32 %f1, %f2, %f3, %f4;");
        assert_eq!(violations(&text, &[("fir", "fma.rn.f32")]), []);
        assert_eq!(violations(&text, &[("sec", "fma.rn.f32")]).len(), 1, "another kernel");
        assert_eq!(violations(&text, &[("fir", "fma.rn.f64")]).len(), 1, "another opcode");
    }
}
