//! The bits of every generated tensor are pinned: the same on every machine, in every order, from every
//! thread. When one of these snapshots changes, every result that anyone kept is about other data.

use std::fmt::Write as _;

use bn_cases::case::{Action, Case, Generated};
use bn_cases::data::Role;
use bn_cases::format::{Along, Fill, Place};
use bn_cases::yaml::Literal;
use bn_cases::{DType, Tensor};

mod common;
use common::suites;

/// FNV-1a with 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): short enough to be read here, and stable.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn tensor(&mut self, tensor: &Tensor) {
        self.write(tensor.dtype().name().as_bytes());
        for size in tensor.shape() {
            self.write(&(*size as u64).to_le_bytes());
        }
        self.write(tensor.bytes());
    }
}

#[test]
fn fnv_is_fnv() {
    let mut hash = Fnv::new();
    hash.write(b"foobar");
    assert_eq!(hash.0, 0x8594_4171_f739_67e8);
}

#[test]
fn every_fill_in_every_dtype() {
    let mut list = String::new();
    for (name, fill) in fills() {
        for dtype in DType::FLOATS {
            let tensor = small(fill.clone(), dtype);
            let mut hash = Fnv::new();
            hash.tensor(&tensor);
            let first: Vec<String> = (0..3)
                .map(|index| format!("{:0width$x}", tensor.bits(index), width = dtype.size() * 2))
                .collect();
            writeln!(list, "{name:<20} {dtype:<5} {:016x}  {} …", hash.0, first.join(" ")).expect("a string");
        }
    }
    insta::assert_snapshot!(list);
}

#[test]
fn every_suite() {
    let mut list = String::new();
    for suite in suites() {
        let mut hash = Fnv::new();
        for case in &suite.cases {
            for tensor in tensors(case) {
                hash.tensor(&tensor);
            }
        }
        writeln!(list, "{:<32} {:016x}", suite.name, hash.0).expect("a string");
    }
    insta::assert_snapshot!(list);
}

#[test]
fn order_and_threads_make_no_difference() {
    let suites = suites();
    let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let digest = |case: &Case| {
        let mut hash = Fnv::new();
        for tensor in tensors(case) {
            hash.tensor(&tensor);
        }
        hash.0
    };
    let forwards: Vec<u64> = cases.iter().map(|case| digest(case)).collect();
    let mut backwards: Vec<u64> = cases.iter().rev().map(|case| digest(case)).collect();
    backwards.reverse();
    assert!(forwards == backwards, "the order of generation shows in the data");
    let threads = 4;
    let shares: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let own = cases.iter().skip(first).step_by(threads);
                scope.spawn(move || own.map(|case| digest(case)).collect::<Vec<u64>>())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    for (number, expected) in forwards.iter().enumerate() {
        assert_eq!(shares[number % threads][number / threads], *expected, "{}", cases[number].id);
    }
}

#[test]
fn a_tensor_does_not_depend_on_those_made_before_it() {
    let fill = Fill::Normal { mean: 0.0, std: 1.0 };
    let generated = |role, occurrence| Generated {
        fill: fill.clone(),
        role,
        occurrence,
        dtype: DType::F64,
        shape: vec![2, 3],
    };
    let second = generated(Role::Input, 1).tensor(7, None);
    generated(Role::Input, 0).tensor(7, None);
    assert_eq!(generated(Role::Input, 1).tensor(7, None), second);
    // Role, place in the case, and seed each give other numbers.
    assert_ne!(generated(Role::Input, 0).tensor(7, None), second);
    assert_ne!(generated(Role::Grad, 1).tensor(7, None), second);
    assert_ne!(generated(Role::Input, 1).tensor(8, None), second);
}

#[test]
fn a_larger_batch_begins_with_the_smaller_one() {
    let of = |rows| {
        let fill = Fill::Normal { mean: 0.5, std: 2.0 };
        let generated =
            Generated { fill, role: Role::Input, occurrence: 0, dtype: DType::F32, shape: vec![rows, 3] };
        generated.tensor(0, None)
    };
    assert_eq!(of(9).bytes()[..of(4).bytes().len()], *of(4).bytes());
}

/// All tensors of a case, in the order of the case.
fn tensors(case: &Case) -> Vec<Tensor> {
    let initial = [Role::Weight, Role::Bias, Role::RunningMean, Role::RunningVar];
    let mut tensors: Vec<Tensor> = initial.into_iter().filter_map(|role| case.initial(role)).collect();
    let mut latest: Option<Tensor> = None;
    for action in &case.script {
        match action {
            Action::Forward { input, .. } => {
                let input = input.tensor(case.spec.seed, None);
                latest = Some(input.clone());
                tensors.push(input);
            }
            Action::Backward { grad } => tensors.push(grad.tensor(case.spec.seed, latest.as_ref())),
            _ => {}
        }
    }
    tensors
}

/// 2 × 3 × 2 elements, as an input or, where the fill follows one, a gradient.
fn small(fill: Fill, dtype: DType) -> Tensor {
    let shape = vec![2, 3, 2];
    let input = Fill::Normal { mean: 0.5, std: 2.0 };
    let input = Generated { fill: input, role: Role::Input, occurrence: 0, dtype, shape: shape.clone() };
    let input = input.tensor(1, None);
    let role = if matches!(fill, Fill::Correlated { .. }) { Role::Grad } else { Role::Input };
    Generated { fill, role, occurrence: 0, dtype, shape }.tensor(1, Some(&input))
}

fn fills() -> Vec<(&'static str, Fill)> {
    let literals = |texts: [&str; 12]| texts.map(|text| Literal(text.to_owned())).to_vec();
    let ramp = |along| Fill::Ramp { from: -1.0, to: 2.0, along };
    let place =
        |index: [usize; 3], value: &str| Place { index: index.to_vec(), value: Literal(value.to_owned()) };
    vec![
        ("normal", Fill::Normal { mean: 0.5, std: 2.0 }),
        ("uniform", Fill::Uniform { low: -1.0, high: 3.0 }),
        ("constant", Fill::Constant(0.1)),
        ("channels", Fill::Channels { mean: vec![0.0, 10.0], std: vec![1.0, 0.5, 0.0] }),
        ("ramp elements", ramp(Along::Elements)),
        ("ramp batch", ramp(Along::Batch)),
        ("ramp channel", ramp(Along::Channel)),
        ("ramp spatial", ramp(Along::Spatial)),
        ("exact", Fill::Exact { mean: 3.0, step: 0.5 }),
        ("correlated", Fill::Correlated { mean: 0.5, strength: 1.0, noise: 1.0 }),
        (
            "special",
            Fill::Special {
                base: Box::new(Fill::Normal { mean: 0.0, std: 1.0 }),
                at: vec![place([0, 0, 0], ".nan"), place([0, 0, 1], "-.inf"), place([1, 2, 1], "-0.0")],
            },
        ),
        (
            "values",
            Fill::Values(literals([
                "0.1", "-0.1", "1e-3", "0x1.8p-3", "7", "-0.0", "3.3", "1", "2", "3", "4", "5",
            ])),
        ),
        (
            "bits",
            Fill::Bits(literals([
                "0x0001", "0x3c00", "0x1", "0x2", "0x3", "0x4", "0x5", "0x6", "0x7", "0x8", "0x9", "0xa",
            ])),
        ),
    ]
}
