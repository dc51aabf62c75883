//! Messages through a pipe, and those that mean nothing.

use bn_cases::case::{Part, Reach};
use bn_cases::{ErrorClass, Observable};

use super::*;
use crate::{Dictionary, Frozen, Input, Layout, Setting, Slot};

fn odd_numbers() -> Tensor {
    Tensor::from_bit_patterns(DType::F32, &[3], [0x7fc0_1234, 0x8000_0000, 1])
}

fn a_request() -> Request {
    let at = || "block".to_owned();
    let input =
        Input { tensor: odd_numbers(), dtype: DType::F32, layout: Layout::Expanded, requires_grad: false };
    let from = Dictionary {
        saved: Some("it".to_owned()),
        without: vec!["bias".to_owned()],
        entries: vec![("weight".to_owned(), odd_numbers()), ("bias".to_owned(), odd_numbers())],
        version: 1,
    };
    let settings = vec![
        Setting::Momentum(None),
        Setting::Tensor(Slot::RunningVar, Some(odd_numbers())),
        Setting::Tensor(Slot::Bias, None),
        Setting::Eps(1e-3),
        Setting::TrackRunningStats(false),
        Setting::NumBatchesTracked(Some(i64::MAX)),
    ];
    Request {
        case: "pipe[\"quoted\"]".to_owned(),
        layers: vec![LayerConfig {
            path: "block.inner".to_owned(),
            // Neither ends in the decimals that are usually printed.
            eps: 0.1 + 0.2,
            momentum: Some(f64::MIN_POSITIVE),
            weight: Some(odd_numbers()),
            running_var: Some(odd_numbers()),
            held_in: Some(DType::F64),
            ..LayerConfig::new(LayerKind::BatchNorm3d, 3, DType::Bf16)
        }],
        actions: vec![
            Action::Freeze { at: at(), what: Frozen::Both, reach: Reach::Children, sticky: true },
            Action::Forward { at: at(), input, no_grad: true },
            Action::Backward { grad: odd_numbers(), layout: Layout::ChannelsLast },
            Action::Set { at: at(), settings },
            Action::Sgd { at: at(), lr: 1.0 / 3.0 },
            Action::Cast { at: at(), to: DType::F16, what: Part::RunningMean },
            Action::LoadState { at: at(), from, strict: false },
            Action::Train { at: String::new() },
        ],
    }
}

fn through_a_pipe(message: &Message) -> Message {
    Message::decode(&message.encode().unwrap()[4..]).unwrap()
}

#[test]
fn a_request_comes_through_with_its_layers_and_steps() {
    let message = Message::Request { id: u64::MAX, request: a_request() };
    assert_eq!(through_a_pipe(&message), message);
}

#[test]
fn an_answer_comes_through_with_every_bit() {
    let counter = Tensor::from_bit_patterns(DType::I64, &[], [7]);
    let tensors = vec![
        (Observable::Output.into(), odd_numbers()),
        (TensorName::new("block.inner", Observable::NumBatchesTracked), counter),
    ];
    let error = Some(LayerError::new(ErrorClass::GraphChanged, "changed"));
    let answers = vec![StepAnswer::default(), StepAnswer { error, tensors }];
    for response in [
        Response::Answered(answers),
        Response::Unsupported { reason: "no words".to_owned() },
        Response::Broken { how: Outcome::Error, message: "no device".to_owned() },
    ] {
        let message = Message::Answer { id: 3, response };
        assert_eq!(through_a_pipe(&message), message);
    }
}

#[test]
fn a_step_that_changes_modes_says_what_they_are_then() {
    let at = String::new;
    let layer = |path: &str| LayerConfig {
        path: path.to_owned(),
        ..LayerConfig::new(LayerKind::BatchNorm1d, 2, DType::F32)
    };
    let request = Request {
        case: String::new(),
        layers: vec![layer("stem"), layer("block.inner")],
        actions: vec![
            Action::Freeze { at: at(), what: Frozen::Both, reach: Reach::Children, sticky: true },
            Action::ZeroGrad { at: at() },
            Action::Train { at: at() },
        ],
    };
    let frame = encode_request(1, &request).unwrap();
    let text: serde_json::Value = serde_json::from_str(&unpack(&frame[4..]).unwrap().message).unwrap();
    let steps = &text["request"]["steps"];
    let mode = |frozen: bool| serde_json::json!({"training": !frozen, "weight": !frozen, "bias": !frozen});
    assert_eq!(steps[0]["modes"], serde_json::json!([mode(true), mode(false)]));
    assert!(steps[1].get("modes").is_none());
    // A sticky one freezes again.
    assert_eq!(steps[2]["modes"], serde_json::json!([mode(true), mode(false)]));
}

fn refused(text: &str, tensors: &[&str]) -> String {
    let mut packer = Packer::default();
    for name in tensors {
        packer.add(name, &odd_numbers());
    }
    let frame = packer.finish(text).unwrap();
    Message::decode(&frame[4..]).expect_err("it is refused").to_string()
}

#[test]
fn what_an_answer_cannot_mean_is_refused_with_the_place() {
    let two = r#"{"answer":{"id":1,"steps":[{},{}]}}"#;
    assert!(refused(two, &["output"]).ends_with("the tensor `output` is not called STEP/NAME"));
    assert!(refused(two, &["x/output"]).ends_with("the tensor `x/output` is not called STEP/NAME"));
    assert!(refused(two, &["2/output"]).ends_with("`2/output` is of none of the answer's 2 steps"));
    // Under two names one tensor could be there twice.
    for number in ["01", "+1"] {
        let name = format!("{number}/output");
        let due = format!("the tensor `{name}` is to be called `1/output`");
        assert!(refused(two, &["1/output", &name]).ends_with(&due));
    }
    assert!(refused(two, &["1/outptu"]).ends_with("no tensor is called `outptu` (`1/outptu`)"));
    let class = r#"{"answer":{"id":1,"steps":[{"error":{"class":"bad_luck","message":""}}]}}"#;
    assert!(refused(class, &[]).contains("unknown variant `bad_luck`, expected one of `one_value_per"));
    assert!(refused(r#"{"answer":{"id":1,"step":[]}}"#, &[]).contains("unknown field `step`"));
    assert!(refused(r#"{"answer":{"id":1,"id":1,"steps":[]}}"#, &[]).contains("duplicate field `id`"));
    assert!(refused(r#"{"reply":{}}"#, &[]).contains("unknown variant `reply`"));
    assert!(refused("", &[]).contains("EOF while parsing"));
}

#[test]
fn a_request_that_speaks_of_a_tensor_that_is_not_there_is_refused() {
    let message = Message::Request { id: 1, request: a_request() };
    let frame = message.encode().unwrap();
    let text = unpack(&frame[4..]).unwrap().message;
    assert!(refused(&text, &[]).ends_with("there is no tensor `layers/0/weight`"));
    let of_the_layer = ["layers/0/weight", "layers/0/running_var"];
    assert!(refused(&text, &of_the_layer).ends_with("there is no tensor `steps/2/input`"));
}

#[test]
fn a_greeting_of_another_version_is_known_by_its_number_whatever_else_it_says() {
    let text = r#"{"hello":{"protocol":99,"who":"somebody from the future"}}"#;
    let frame = Packer::default().finish(text).unwrap();
    assert!(matches!(Message::decode(&frame[4..]), Err(WireError::Protocol(99))));
}
