//! `self-test`: what the compiler and the gates say of kernels that are wrong on purpose. It needs the
//! toolkit, so it is not one of `cargo test`'s, which need nothing but Rust.

use std::fs;
use std::path::Path;

use crate::stamp::{Stamp, StampError, stamp};

use crate::gates::gates;
use crate::nvrtc::{CompileError, Nvrtc, OPTIONS};
use crate::place::Toolkit;
use crate::ptx::{kernels, violations};
use crate::sources::File;
use crate::units::PTX;

/// A check: what it is of, and what is wrong if it fails.
pub type Check = (&'static str, Result<(), String>);

/// Runs all checks.
pub fn run(toolkit: &Toolkit, nvrtc: &Nvrtc) -> Vec<Check> {
    vec![
        ("a kernel compiles, without a path of this machine", compiles(nvrtc)),
        ("the same source gives the same PTX", is_deterministic(nvrtc)),
        ("a mistake in a source is shown with file and line", shows_errors(nvrtc, 0)),
        ("a mistake in a header is shown with file and line", shows_errors(nvrtc, 1)),
        ("a warning is reported", reports_warnings(nvrtc)),
        ("an approximate root, an atomic and a fused operation are found in the PTX", finds_in_text(nvrtc)),
        ("a clean kernel passes the assembler's gates", passes_gates(toolkit, nvrtc)),
        ("spills, a stack and local memory are found in what is assembled", finds_spills(toolkit, nvrtc)),
        ("an edited PTX file is refused", refuses_edits(toolkit, nvrtc)),
        ("PTX that the assembler refuses is a failure with its message", shows_the_assembler(toolkit)),
    ]
}

const CLEAN: [&str; 2] = [
    "#include \"scale.cuh\"\nextern \"C\" __global__ void bn_normalise_x(const float4* x, float4* y) {\n\
     float4 v = x[threadIdx.x];\nv.x = scaled(v.x);\nv.y = sqrtf(v.y) * v.x + v.y;\ny[threadIdx.x] = v;\n}\n",
    "#pragma once\n__device__ inline float scaled(float x) { return 3.0f / x; }\n",
];

/// 40 numbers of 64 bits in the 32 registers that so many threads leave, and an index that is known at run
/// time only.
const SPILLING: &str = "\
extern \"C\" __global__ void __launch_bounds__(1024, 2) bn_spills(double* x) {
    double a[40], sum = 0;
    for (int i = 0; i < 40; i++) a[i] = x[i * threadIdx.x];
    __syncthreads();
    for (int i = 0; i < 40; i++)
        for (int k = 0; k < 40; k++) sum += a[i] * a[k] / a[(i + k) % 40];
    x[threadIdx.x] = sum;
}
";

const FORBIDDEN: &str = "\
extern \"C\" __global__ void bn_forbidden(float* x) {
    float y = rsqrtf(x[0]);
    y = __fmaf_rn(y, x[1], x[2]);
    atomicAdd(x, y);
}
";

fn files(texts: &[&str]) -> Vec<File> {
    let named = ["scale.cu", "scale.cuh"].into_iter().zip(texts);
    named.map(|(name, text)| File { name: name.to_owned(), text: (*text).to_owned() }).collect()
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn compile(nvrtc: &Nvrtc, texts: &[&str]) -> Result<String, String> {
    nvrtc.compile(&files(texts), &[]).map(|compiled| compiled.ptx).map_err(|error| error.to_string())
}

fn compiles(nvrtc: &Nvrtc) -> Result<(), String> {
    let ptx = compile(nvrtc, &CLEAN)?;
    check(kernels(&ptx).len() == 1, || format!("not one kernel:\n{ptx}"))?;
    for file in files(&CLEAN) {
        check(ptx.contains(&format!("\"{}\"", file.path())), || {
            format!("{} is not named:\n{ptx}", file.path())
        })?;
    }
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let here = here.to_string_lossy();
    check(here == "/" || !ptx.contains(here.as_ref()), || format!("{here} is in it:\n{ptx}"))
}

fn is_deterministic(nvrtc: &Nvrtc) -> Result<(), String> {
    let (first, second) = (compile(nvrtc, &CLEAN)?, compile(nvrtc, &CLEAN)?);
    check(first == second, || "two compilations differ".to_owned())
}

fn shows_errors(nvrtc: &Nvrtc, wrong: usize) -> Result<(), String> {
    let line = 2 - wrong;
    let broken = CLEAN[wrong].replacen('\n', &format!("{} int oops = nothing;\n", "\n".repeat(line)), 1);
    let mut texts = CLEAN;
    texts[wrong] = &broken;
    let expected = format!("{}({}): error: ", files(&texts)[wrong].path(), line + 1);
    match nvrtc.compile(&files(&texts), &[]) {
        Err(CompileError::Source { log, .. }) => {
            check(log.contains(&expected), || format!("no `{expected}` in\n{log}"))
        }
        other => Err(format!("it should not compile: {other:?}")),
    }
}

fn reports_warnings(nvrtc: &Nvrtc) -> Result<(), String> {
    let unused = CLEAN[0].replacen("{\n", "{\nint unused = 1;\n", 1);
    let compiled = nvrtc.compile(&files(&[&unused, CLEAN[1]]), &[]).map_err(|error| error.to_string())?;
    check(compiled.warnings.contains("backends/cuda/kernels/scale.cu(3): warning"), || {
        format!("the log is `{}`", compiled.warnings)
    })
}

fn finds_in_text(nvrtc: &Nvrtc) -> Result<(), String> {
    let found = violations(&compile(nvrtc, &[FORBIDDEN])?, &[]);
    for opcode in ["rsqrt.approx.f32", "fma.rn.f32", "atom.global.add.f32"] {
        let starts =
            |text: &str| text.starts_with(opcode) || text.starts_with(&opcode.replace("atom", "red"));
        check(found.iter().any(|violation| starts(&violation.text)), || {
            format!("no `{opcode}` among {found:?}")
        })?;
    }
    Ok(())
}

/// Failures of the gates on one kernel, in a repository of its own; not those that the tables have for want
/// of the others.
fn gate(toolkit: &Toolkit, text: &str) -> Result<Vec<String>, String> {
    let root = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = root.path().join(PTX);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("x.ptx"), text))
        .map_err(|error| error.to_string())?;
    let findings = gates(root.path(), toolkit).map_err(|error| error.to_string())?;
    Ok(findings.failures.into_iter().filter(|failure| failure.starts_with(PTX)).collect())
}

fn stamped(nvrtc: &Nvrtc, texts: &[&str]) -> Result<String, String> {
    Ok(stamp("a check", Vec::new(), &OPTIONS.join(" "), "NVRTC", &compile(nvrtc, texts)?).replacen(
        "// options",
        "// source: x sha256:0\n// options",
        1,
    ))
}

fn passes_gates(toolkit: &Toolkit, nvrtc: &Nvrtc) -> Result<(), String> {
    let failures = gate(toolkit, &stamped(nvrtc, &CLEAN)?)?;
    check(failures.is_empty(), || failures.join("\n"))
}

fn finds_spills(toolkit: &Toolkit, nvrtc: &Nvrtc) -> Result<(), String> {
    let failures = gate(toolkit, &stamped(nvrtc, &[SPILLING])?)?;
    for arch in ["sm_75", "sm_80", "sm_90"] {
        for what in ["a stack frame of", "registers spill", "local memory in the machine code"] {
            let expected = format!("{PTX}/x.ptx: bn_spills on {arch}: {what}");
            check(failures.iter().any(|failure| failure.starts_with(&expected)), || {
                format!("no `{expected}` among:\n{}", failures.join("\n"))
            })?;
        }
    }
    Ok(())
}

fn refuses_edits(toolkit: &Toolkit, nvrtc: &Nvrtc) -> Result<(), String> {
    let edited = stamped(nvrtc, &CLEAN)?.replacen("add.rn.f32", "sub.rn.f32", 1);
    check(matches!(Stamp::verify(&edited), Err(StampError::Edited { .. })), || "it verifies".to_owned())?;
    let failures = gate(toolkit, &edited)?;
    check(failures.len() == 1 && failures[0].contains("edited by hand"), || failures.join("\n"))
}

fn shows_the_assembler(toolkit: &Toolkit) -> Result<(), String> {
    let text =
        ".version 9.0\n.target sm_75\n.address_size 64\n.visible .entry bn_x()\n{\n\tnothing.at.all;\n}\n";
    let path = Path::new(PTX).join("x.ptx");
    let failures = gate(toolkit, text)?;
    check(
        failures
            .iter()
            .any(|failure| failure.starts_with(&*path.to_string_lossy()) && failure.contains("line 6")),
        || failures.join("\n"),
    )
}
