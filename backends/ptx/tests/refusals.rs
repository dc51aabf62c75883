//! What is refused when PTX is read, and that nothing in a text makes the reader panic.

mod support;

use bn_ptx::Module;
use proptest::prelude::*;

#[test]
fn what_must_not_be_executed_is_refused_with_opcode_and_line() {
    for opcode in [
        "rsqrt.approx.f32 %f1, %f2",
        "sqrt.approx.f32 %f1, %f2",
        "div.full.f32 %f1, %f2, %f3",
        "add.ftz.f32 %f1, %f2, %f3",
        "ex2.approx.f32 %f1, %f2",
        "atom.global.add.u32 %r1, [%rd1], %r2",
        "red.global.add.u32 [%rd1], %r2",
        "call foo",
        "add.foo.f32 %f1, %f2, %f3",
        "add.rn.s32 %r1, %r2, %r3",
        "frobnicate.b32 %r1, %r2",
        "ld.local.u32 %r1, [%rd1]",
        "add.s32 %r1, %r2",
        "add.s32 %r1, %rd2, %r3",
        "cvt.rn.u32.u64 %r1, %rd2",
        "cvt.f32.f64 %f1, %fd2",
        "shfl.down.b32 %r1, %r2, %r3, %r4",
    ] {
        let text = support::module("", &format!("{opcode};"));
        let line = text.lines().position(|line| line.contains(opcode)).expect("the line") + 1;
        let error = Module::parse(&text).expect_err(opcode);
        assert_eq!(error.line, line, "{error}");
        let name = opcode.split(' ').next().expect("an opcode");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

#[test]
fn an_unknown_label_and_an_unknown_register_are_refused() {
    let error = Module::parse(&support::module("", "bra NOWHERE;")).expect_err("a label");
    assert!(error.message.contains("NOWHERE"), "{error}");
    let error = Module::parse(&support::module("", "mov.u32 %q1, 0;")).expect_err("a register");
    assert!(error.message.contains("%q1"), "{error}");
}

fn sample() -> String {
    support::module(
        ".shared .align 4 .b8 tile[64];",
        "ld.param.u64 %rd1, [in];\n// begin inline asm\n{ .reg .b16 %t;\nmov.b32 {%t, %h1}, %r1;\n}\n\
         @!%p1 bra L;\nst.shared.v2.f32 [%rd1+-4], {%f1, 0f3F800000};\nL:\nshfl.sync.down.b32 %r1|%p1, %r2, 1, 31, -1;",
    )
}

proptest! {
    #![proptest_config(ProptestConfig { fork: false, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_text_does_not_panic(at in 0usize..2000) {
        let text = sample();
        let _ = Module::parse(text.get(..at.min(text.len())).unwrap_or(""));
    }

    #[test]
    fn a_changed_text_does_not_panic(at in 0usize..2000, to in "[ -~\n]{0,3}") {
        let text = sample();
        let at = at % text.len();
        let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
        let _ = Module::parse(&changed);
    }

    #[test]
    fn a_text_of_any_words_does_not_panic(text in "[ -~\n]{0,200}") {
        let _ = Module::parse(&text);
    }
}
