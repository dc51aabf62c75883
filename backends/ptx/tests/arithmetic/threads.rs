//! Branches, ends, barriers, and what the lanes of a warp do together.

use bn_ptx::{FaultKind, LaunchError};

use crate::support;
use crate::{Case, Row};

/// Four warps: all lanes even, all odd, and two mixed; the second word is a lane or a distance.
fn rows() -> Vec<Row> {
    (0..128u64)
        .map(|thread| {
            let odd = match thread / 32 {
                0 => 0,
                1 => 1,
                2 => thread * thread / 3 % 2,
                _ => u64::from(thread % 32 == 31),
            };
            [thread * 10 + odd, thread * 7 % 32, thread]
        })
        .collect()
}

const ODD: &str = "and.b64 %rd5, %rd1, 1;\nsetp.ne.u64 %p1, %rd5, 0;\n";

/// What each warp's lanes that are odd make of it.
fn by_warp(rows: &[Row], answer: impl Fn(u32) -> u64) -> Vec<u64> {
    rows.chunks(32)
        .flat_map(|warp| {
            let odd = warp.iter().enumerate().fold(0, |all, (lane, row)| all | ((row[0] & 1) as u32) << lane);
            vec![answer(odd); 32]
        })
        .collect()
}

/// The lane that is read, and whether it is in the segment: segments are of equal width.
fn source(kind: &str, lane: usize, by: usize, segment: usize) -> Option<usize> {
    let first = lane / segment * segment;
    let inside = first..first + segment;
    let wanted = match kind {
        "up" => lane.checked_sub(by)?,
        "down" => lane + by,
        "bfly" => lane ^ by,
        _ => first + by % segment,
    };
    // An exchange may also read a segment before its own.
    let before = kind == "bfly" && wanted < first;
    (before || inside.contains(&wanted)).then_some(wanted)
}

fn shuffles(cases: &mut Vec<Case>) {
    for kind in ["up", "down", "bfly", "idx"] {
        for segment in [32, 16, 8, 2] {
            // By the same everywhere, or by each lane's own.
            for by in (0..32).map(Some).chain([None]) {
                let opcode = format!("shfl.sync.{kind}.b32");
                let clamp = (32 - segment) << 8 | if kind == "up" { 0 } else { 31 };
                let written = by.map_or("%r2".to_owned(), |by| by.to_string());
                let body = format!(
                    "{opcode} %r5|%p1, %r1, {written}, {clamp}, -1;\nselp.u32 %r6, 100000, 0, %p1;\n\
                     add.u32 %r5, %r5, %r6;\ncvt.u64.u32 %rd4, %r5;"
                );
                cases.push(Case::of_all(&opcode, body, rows, move |rows| {
                    (0..rows.len())
                        .map(|thread| {
                            let (lane, warp) = (thread % 32, thread / 32 * 32);
                            let by = by.unwrap_or(rows[thread][1] as usize);
                            let found = source(kind, lane, by, segment);
                            rows[warp + found.unwrap_or(lane)][0] + if found.is_some() { 100_000 } else { 0 }
                        })
                        .collect()
                }));
            }
        }
    }
}

type Answer = fn(u32) -> bool;

fn votes(cases: &mut Vec<Case>) {
    let votes: [(&str, Answer); 3] =
        [("all", |odd| odd == u32::MAX), ("any", |odd| odd != 0), ("uni", |odd| odd == 0 || odd == u32::MAX)];
    for (name, answer) in votes {
        let opcode = format!("vote.sync.{name}.pred");
        for (sign, flip) in [("", 0), ("!", u32::MAX)] {
            let body = format!("{ODD}{opcode} %p2, {sign}%p1, -1;\nselp.b64 %rd4, 1, 0, %p2;");
            cases.push(Case::of_all(&opcode, body, rows, move |rows| {
                by_warp(rows, |odd| u64::from(answer(odd ^ flip)))
            }));
        }
    }
    let opcode = "vote.sync.ballot.b32";
    let body = format!("{ODD}{opcode} %r5, %p1, -1;\ncvt.u64.u32 %rd4, %r5;");
    cases.push(Case::of_all(opcode, body, rows, |rows| by_warp(rows, u64::from)));
    // Odd lanes ask among themselves; the others have 0.
    let body = format!(
        "{ODD}mov.u32 %r5, 0;\nvote.sync.ballot.b32 %r6, %p1, -1;\n@!%p1 bra E;\nactivemask.b32 %r5;\n\
         vote.sync.ballot.b32 %r7, %p1, %r6;\nsub.u32 %r7, %r7, %r6;\nadd.u32 %r5, %r5, %r7;\nE:\n\
         cvt.u64.u32 %rd4, %r5;"
    );
    cases.push(Case::of_all("activemask.b32", body, rows, |rows| {
        let odd = by_warp(rows, u64::from);
        rows.iter().zip(odd).map(|(row, odd)| if row[0] & 1 != 0 { odd } else { 0 }).collect()
    }));
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    shuffles(&mut cases);
    votes(&mut cases);
    // What is jumped over would be seen in the result.
    for opcode in ["bra", "bra.uni"] {
        let body = format!("mov.u64 %rd4, 1;\n{opcode} E;\nmov.u64 %rd4, 2;\nE:");
        cases.push(Case::of_rows(opcode, body, rows, |_| 1));
    }
    let body = format!("{ODD}mov.u64 %rd4, 1;\n@%p1 bra E;\nmov.u64 %rd4, 2;\nE:");
    cases.push(Case::of_rows("bra", body, rows, |[a, _, _]| 2 - (a & 1)));
    // Odd threads write their own result and end; the rest of the body would write it twice.
    for opcode in ["ret", "ret.uni", "exit"] {
        let body = format!(
            "{ODD}mov.u64 %rd4, 1;\n@!%p1 bra GO;\nst.global.u64 [%rd11], %rd4;\n{opcode};\nGO:\nmov.u64 %rd4, 2;"
        );
        cases.push(Case::of_rows(opcode, body, rows, |[a, _, _]| 2 - (a & 1)));
        let body = format!(
            "{ODD}mov.u64 %rd4, 1;\n@%p1 st.global.u64 [%rd11], %rd4;\n@%p1 {opcode};\nmov.u64 %rd4, 2;"
        );
        cases.push(Case::of_rows(opcode, body, rows, |[a, _, _]| 2 - (a & 1)));
    }
    cases.push(Case::special("trap", || {
        let text = support::module("", "trap;").replace("in,", "in, .param .u64 b, .param .u64 c,");
        match support::run(&text, [1; 3], [1; 3]) {
            Err(LaunchError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Trap),
            other => panic!("{:?}", other.map(|_| ())),
        }
    }));
    for fence in ["membar", "fence.acq_rel", "fence.sc"] {
        for scope in ["cta", if fence == "membar" { "gl" } else { "gpu" }, "sys"] {
            let opcode = format!("{fence}.{scope}");
            cases.push(Case::of_rows(
                &opcode,
                format!("mov.u64 %rd4, %rd1;\n{opcode};"),
                rows,
                |[a, _, _]| a,
            ));
        }
    }
    // Values change places through shared memory: in the block, and in the warp.
    for (opcode, mask) in [
        ("bar.sync", 63),
        ("bar.cta.sync", 63),
        ("barrier.sync", 63),
        ("barrier.cta.sync", 63),
        ("barrier.sync.aligned", 63),
        ("barrier.cta.sync.aligned", 63),
        ("bar.warp.sync", 31),
    ] {
        let id = if mask == 31 { "-1" } else { "0" };
        let body = format!(
            ".shared .align 8 .b8 tile[512];\nmov.u32 %r5, %tid.x;\nmul.wide.u32 %rd5, %r5, 8;\nmov.u64 %rd6, tile;\n\
             add.s64 %rd7, %rd6, %rd5;\nst.shared.u64 [%rd7], %rd1;\n{opcode} {id};\nxor.b32 %r5, %r5, {mask};\n\
             mul.wide.u32 %rd5, %r5, 8;\nadd.s64 %rd7, %rd6, %rd5;\nld.shared.u64 %rd4, [%rd7];"
        );
        cases.push(Case::of_all(opcode, body, rows, move |rows| {
            (0..rows.len()).map(|thread| rows[thread ^ mask][0]).collect()
        }));
    }
    cases
}
