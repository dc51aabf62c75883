//! A check of a GPU on a terminal and as JSON, from results that were made up.

use std::collections::BTreeMap;

use bn_harness::results::{Machine, Number, RunInfo, Verdict};
use bn_reports::gpu_check::{
    Comparison, Device, Difference, GpuCheck, PyTorch, Rate, Row, SCHEMA_VERSION, Suites, Timed, Timings,
    TorchTime, Verdicts, human,
};

fn plain(rendered: &str) -> String {
    anstream::adapter::strip_str(rendered).to_string()
}

fn row(pass: &str, layout: &str, bytes: u64, micros: Option<f64>, fits_l2: bool) -> Row {
    let timed = micros.map(|micros| Timed {
        micros,
        repetitions: 40,
        gb_per_s: Rate { bytes, micros }.gb_per_s(),
        copy_micros: 90.0,
        share_of_copy: 90.0 / micros,
    });
    Row {
        executor: "cuda".to_owned(),
        shape: vec![32, 64, 112, 112],
        dtype: "f16".to_owned(),
        parameters: "f32".to_owned(),
        accumulator: "f32".to_owned(),
        layout: layout.to_owned(),
        pass: pass.to_owned(),
        bytes,
        fits_l2,
        timed,
        problem: timed.is_none().then(|| "the device is out of memory".to_owned()),
        pytorch: Vec::new(),
    }
}

fn torch(cudnn: bool, graph: bool, micros: Option<f64>) -> TorchTime {
    TorchTime { cudnn, graph, micros, problem: None }
}

fn check() -> GpuCheck {
    let machine = Machine { os: "linux".into(), arch: "x86_64".into(), cpu: None, threads: 2 };
    let run = RunInfo {
        bncheck: "0.1.0".into(),
        oracle: "none: the arbiter alone".into(),
        backends: Vec::new(),
        machine,
        jobs: 2,
        seed: None,
        flags: Vec::new(),
        started_unix_ms: 1,
        duration_ms: 2,
        stages: None,
        memory: Vec::new(),
        incomplete: None,
        selections: Vec::new(),
        undecided: Vec::new(),
        parts: Vec::new(),
    };
    let verdicts = |executor: &str| Verdicts {
        executor: executor.to_owned(),
        counts: BTreeMap::from([(Verdict::Pass, 1200), (Verdict::Unsupported, 3)]),
    };
    let comparison = Comparison {
        executors: ["cuda", "cuda-ptx"].map(str::to_owned),
        cases: 1200,
        tensors: 9000,
        elements: 1_000_000,
        differences: Vec::new(),
        not_listed: 0,
    };
    let mut with_torch = row("forward train", "contiguous", 308_281_344, Some(100.0), false);
    with_torch.pytorch =
        vec![torch(true, false, Some(95.0)), torch(true, true, Some(90.0)), torch(false, false, Some(250.0))];
    GpuCheck {
        schema_version: SCHEMA_VERSION,
        bncheck: "0.1.0".to_owned(),
        device: Device {
            executor: "cuda".to_owned(),
            description: "A GPU (sm_90), driver 13.0".to_owned(),
            name: "A GPU".to_owned(),
            driver: "13.0".to_owned(),
            compute_capability: "9.0".to_owned(),
            multiprocessors: 132,
            memory_bytes: 80_000_000_000,
            l2_bytes: 50_000_000,
        },
        suites: Suites {
            tier: "full".to_owned(),
            run,
            cases: 1203,
            verdicts: ["cuda", "cuda-ptx"].map(verdicts).into(),
            unexpected: Vec::new(),
            deviation_errors: Vec::new(),
            as_expected: true,
        },
        comparisons: vec![comparison],
        timings: Some(Timings {
            copy: Some(Rate { bytes: 1 << 29, micros: 200.0 }),
            rows: vec![with_torch, row("backward eval", "channels_last", 308_281_344, Some(120.0), true)],
            pytorch: PyTorch::Measured {
                python: "python3".to_owned(),
                torch: "2.11.0".to_owned(),
                cuda: "13.0".to_owned(),
                cudnn: "91300".to_owned(),
                device: "A GPU".to_owned(),
            },
        }),
    }
}

/// With a bit that differs, a pass that could not be timed and no PyTorch.
fn unexpected() -> GpuCheck {
    let mut check = check();
    let number = |bits| Number::of_bits(bn_api::DType::F32, bits);
    check.comparisons[0].differences.push(Difference {
        case: "exact/means[dtype=f32]".to_owned(),
        step: 2,
        action: "forward".to_owned(),
        tensor: Some("output".to_owned()),
        index: vec![0, 1],
        values: Some([number(0x3DCC_CCCD), number(0x3DCC_CCCE)]),
        note: None,
    });
    if let Some(timings) = &mut check.timings {
        timings.rows = vec![row("forward eval", "contiguous", 205_520_896, None, false)];
        timings.pytorch = PyTorch::Absent { why: "there is no Python with torch".to_owned() };
    }
    check
}

#[test]
fn a_check_in_which_all_is_well() {
    assert!(check().as_expected());
    insta::assert_snapshot!(plain(&human(&check())));
}

#[test]
fn a_check_with_a_bit_that_differs_and_a_pass_without_a_time() {
    assert!(!unexpected().as_expected());
    insta::assert_snapshot!(plain(&human(&unexpected())));
}

#[test]
fn each_thing_that_goes_wrong_alone_makes_it_unexpected() {
    let wrong: [fn(&mut GpuCheck); 5] = [
        |check| check.suites.as_expected = false,
        |check| check.comparisons[0].not_listed = 1,
        |check| check.comparisons[0].tensors = 0,
        |check| check.timings.as_mut().expect("timings").rows[1].timed = None,
        |check| check.timings.as_mut().expect("timings").copy = None,
    ];
    for change in wrong {
        let mut check = check();
        change(&mut check);
        assert!(!check.as_expected());
        assert!(human(&check).contains("not as expected: "));
    }
}

#[test]
fn what_is_written_as_json_reads_back_as_the_same() {
    for check in [check(), unexpected()] {
        assert_eq!(serde_json::from_str::<GpuCheck>(&check.to_json()).unwrap(), check);
    }
    insta::assert_snapshot!(unexpected().to_json());
}
