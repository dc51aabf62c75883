//! The bits of every generated tensor are pinned: the same on every machine, in every order, from every
//! thread. When one of these snapshots changes, every result that anyone kept is about other data.

use std::fmt::Write as _;

use bn_cases::case::{Action, Case, Generated, Slot};
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
        one_sample: false,
    };
    let second = generated(Role::Input, 1).tensor(7, None);
    generated(Role::Input, 0).tensor(7, None);
    assert_eq!(generated(Role::Input, 1).tensor(7, None), second);
    // Role, place in the case, and seed each give other numbers.
    assert_ne!(generated(Role::Input, 0).tensor(7, None), second);
    assert_ne!(generated(Role::Grad, 1).tensor(7, None), second);
    assert_ne!(generated(Role::Input, 1).tensor(8, None), second);
}

/// A case around these fields.
fn case(fields: &str) -> Case {
    let contents = "weight: {normal: {mean: 1}}, running_var: {uniform: {low: 1, high: 2}}";
    let text =
        format!("suite: s\ncases: [{{name: a, input: {{shape: [4, 3]}}, layer: {{{contents}}}, {fields}}}]");
    let suite =
        bn_cases::load_str("s.yaml", &text).unwrap_or_else(|problems| panic!("{}", common::drawn(&problems)));
    suite.cases[0].clone()
}

#[test]
fn the_first_layer_of_a_model_has_the_contents_of_a_layer_alone_and_the_others_have_their_own() {
    let alone = case("mode: train");
    let model = case("mode: train, model: [{name: first}, {name: second}]");
    for slot in [Slot::Weight, Slot::RunningVar] {
        assert_eq!(model.initial(0, slot), alone.initial(0, slot));
        assert_ne!(model.initial(1, slot), alone.initial(0, slot));
    }
    assert_eq!(tensors(&model)[4..], tensors(&alone)[2..], "input and gradient are those of the case");
}

#[test]
fn what_steps_bring_along_is_no_copy_of_what_layers_begin_with() {
    let steps = "steps: [forward, {set: {at: first, weight: {normal: {mean: 1}}}}, \
                 {load_state: {at: second, strict: false, entries: {weight: {normal: {mean: 1}}}}}]";
    let case = case(&format!("model: [{{name: first}}, {{name: second}}], {steps}"));
    let mut weights: Vec<Tensor> = (0..2).filter_map(|layer| case.initial(layer, Slot::Weight)).collect();
    weights.extend(tensors(&case).split_off(5));
    assert_eq!(weights.len(), 4);
    for (number, weight) in weights.iter().enumerate() {
        assert!(!weights[..number].contains(weight), "{number}");
    }
}

#[test]
fn a_larger_batch_begins_with_the_smaller_one() {
    let of = |rows| {
        let fill = Fill::Normal { mean: 0.5, std: 2.0 };
        let shape = vec![rows, 3];
        let (role, dtype) = (Role::Input, DType::F32);
        let generated = Generated { fill, role, occurrence: 0, dtype, shape, one_sample: false };
        generated.tensor(0, None)
    };
    assert_eq!(of(9).bytes()[..of(4).bytes().len()], *of(4).bytes());
}

#[test]
fn an_expanded_tensor_repeats_the_first_sample_of_the_plain_one() {
    let of = |one_sample| {
        let fill = Fill::Normal { mean: 0.5, std: 2.0 };
        let (role, dtype, shape) = (Role::Input, DType::F32, vec![3, 2, 2]);
        Generated { fill, role, occurrence: 0, dtype, shape, one_sample }.tensor(0, None)
    };
    let (plain, expanded) = (of(false), of(true));
    let sample = plain.bytes().len() / 3;
    assert_eq!(expanded.bytes(), plain.bytes()[..sample].repeat(3));
}

/// All tensors of a case, in the order of the case.
fn tensors(case: &Case) -> Vec<Tensor> {
    let layers = 0..case.layers.len();
    let initial = layers.flat_map(|layer| Slot::ALL.map(|slot| case.initial(layer, slot)));
    let mut tensors: Vec<Tensor> = initial.flatten().collect();
    let mut latest: Option<Tensor> = None;
    for action in case.script.iter() {
        let mut made = Vec::new();
        let _ = action.map(&mut |generated: &Generated| {
            made.push(generated.tensor(case.seed, latest.as_ref()));
        });
        if let Action::Forward { .. } = action {
            latest = made.last().cloned();
        }
        tensors.extend(made);
    }
    tensors
}

/// 2 × 3 × 2 elements, as an input or, where the fill follows one, a gradient.
fn small(fill: Fill, dtype: DType) -> Tensor {
    let shape = vec![2, 3, 2];
    let input = Fill::Normal { mean: 0.5, std: 2.0 };
    let of = |fill, role| {
        let shape = shape.clone();
        Generated { fill, role, occurrence: 0, dtype, shape, one_sample: false }
    };
    let input = of(input, Role::Input).tensor(1, None);
    let role = if matches!(fill, Fill::Correlated { .. }) { Role::Grad } else { Role::Input };
    of(fill, role).tensor(1, Some(&input))
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
        ("exact", Fill::Exact { mean: 3.0, step: 0.5, adjacent: false }),
        ("exact-adjacent", Fill::Exact { mean: 3.0, step: 0.5, adjacent: true }),
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

#[test]
fn a_zero_keeps_its_sign_beside_one_of_the_other() {
    // Cases share what they have in common, and to `==` the two are the same.
    let text = "
suite: zeros
cases:
  - name: both
    mode: eval
    matrix:
      input.fill: {plus: {constant: 0.0}, minus: {constant: -0.0}, again: {constant: 0.0}}
      layer.eps: [1e-5, 1e-3]
    input: {shape: [2, 1]}
";
    let suite = bn_cases::load_str("zeros.yaml", text).expect("it can be read");
    let signs = suite.cases.iter().map(|case| {
        let input = case.script.iter().find_map(|action| match action {
            Action::Forward { input, .. } => Some(input.tensor.tensor(case.seed, None)),
            _ => None,
        });
        input.expect("a forward").value(1).is_sign_negative()
    });
    assert_eq!(signs.collect::<Vec<_>>(), [false, false, true, true, false, false]);
}
