//! Lanes that go apart and meet again, and shuffles.

mod support;

use support::compute;

fn rows() -> Vec<[u64; 3]> {
    (0..64).map(|lane| [lane, lane * lane % 13, 0]).collect()
}

#[test]
fn nested_branches_meet_again() {
    let body = "mov.u64 %rd4, 0;\nsetp.lt.u64 %p1, %rd1, 20;\n@!%p1 bra B;\nadd.s64 %rd4, %rd4, 1;\n\
                setp.lt.u64 %p2, %rd1, 7;\n@%p2 bra C;\nadd.s64 %rd4, %rd4, 10;\nbra.uni D;\nC:\n\
                add.s64 %rd4, %rd4, 100;\nD:\nbra.uni E;\nB:\nadd.s64 %rd4, %rd4, 1000;\nE:\n\
                activemask.b32 %r5;\npopc.b32 %r6, %r5;\ncvt.u64.u32 %rd5, %r6;\nmad.lo.s64 %rd4, %rd5, 10000, %rd4;";
    for (lane, got) in (0u64..).zip(compute(body, &rows())) {
        let inner = if lane < 7 {
            101
        } else if lane < 20 {
            11
        } else {
            1000
        };
        assert_eq!(got, 320_000 + inner, "lane {lane}");
    }
}

#[test]
fn a_loop_takes_each_lane_as_often_as_it_says() {
    let body = "mov.u64 %rd4, 0;\nmov.u64 %rd5, 0;\nL:\nsetp.ge.u64 %p1, %rd5, %rd2;\n@%p1 bra E;\n\
                add.s64 %rd4, %rd4, %rd5;\nadd.s64 %rd5, %rd5, 1;\nbra L;\nE:";
    for (row, got) in rows().iter().zip(compute(body, &rows())) {
        assert_eq!(got, (0..row[1]).sum::<u64>());
    }
}

#[test]
fn shuffles_read_the_lane_that_they_say() {
    let shuffle = |what: &str| {
        let body = format!(
            "shfl.sync.{what}, -1;\nselp.u32 %r6, 100, 0, %p1;\nadd.u32 %r5, %r5, %r6;\ncvt.u64.u32 %rd4, %r5;"
        );
        compute(&body, &rows())
    };
    for (thread, got) in (0u64..).zip(shuffle("down.b32 %r5|%p1, %r1, 3, 31")) {
        assert_eq!(got, if thread % 32 + 3 < 32 { thread + 103 } else { thread });
    }
    for (thread, got) in (0u64..).zip(shuffle("up.b32 %r5|%p1, %r1, 3, 0")) {
        assert_eq!(got, if thread % 32 >= 3 { thread + 97 } else { thread });
    }
    for (thread, got) in (0u64..).zip(shuffle("bfly.b32 %r5|%p1, %r1, 5, 31")) {
        assert_eq!(got, (thread ^ 5) + 100);
    }
    for (thread, got) in (0u64..).zip(shuffle("idx.b32 %r5|%p1, %r1, 9, 31")) {
        assert_eq!(got, thread / 32 * 32 + 109);
    }
}

#[test]
fn votes_count_the_lanes() {
    let body = "setp.lt.u32 %p1, %r2, 5;\nvote.sync.ballot.b32 %r5, %p1, -1;\ncvt.u64.u32 %rd4, %r5;";
    let rows = rows();
    for (thread, got) in compute(body, &rows).into_iter().enumerate() {
        let warp = &rows[thread / 32 * 32..][..32];
        let ballot = warp.iter().enumerate().fold(0, |all, (lane, row)| all | u64::from(row[1] < 5) << lane);
        assert_eq!(got, ballot);
    }
}
