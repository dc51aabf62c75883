//! The example frames of docs/protocol.md: what they say, bit for bit, and that the format's own library reads them.
//!
//! After a change of the protocol `UPDATE_FRAMES=1 cargo test -p bn-api --test frames` writes them anew.

use std::path::PathBuf;

use bn_api::wire::{Hello, Message};
use bn_api::worked_example::{config, grad_output, input};
use bn_api::{
    Action, BackendInfo, DType, ErrorClass, LayerError, LayerState, Observable, Outcome, Request, Response,
    StepAnswer, Tensor, TensorName,
};
use safetensors::SafeTensors;
use serde_json::{Value, json};

fn hello() -> Message {
    let info = BackendInfo {
        name: "mine".to_owned(),
        version: "mine 0.1".to_owned(),
        about: "A batch norm of my own".to_owned(),
        unobservable: Vec::new(),
    };
    let lacks = r#"{"cast": "layers have one type for good", "layouts": "inputs lie contiguously"}"#;
    Message::Hello(Hello {
        dtypes: Some(vec![DType::F32, DType::F64]),
        lacks: serde_json::from_str(lacks).expect("two features"),
        ..Hello::new(&info)
    })
}

/// What greets in the name of a library that is not there.
fn absent() -> Message {
    let info = BackendInfo {
        name: "onnxruntime".to_owned(),
        version: "not installed".to_owned(),
        about: String::new(),
        unobservable: Vec::new(),
    };
    let absent = Some("onnxruntime is not installed: pip install onnxruntime".to_owned());
    Message::Hello(Hello { absent, ..Hello::new(&info) })
}

/// The worked example, with a backward too early.
fn request() -> Message {
    let dtype = DType::F32;
    let backward = || Action::Backward { grad: grad_output(dtype), layout: bn_api::Layout::Contiguous };
    let request = Request {
        case: "protocol/example".to_owned(),
        layers: vec![config(dtype)],
        actions: vec![
            backward(),
            Action::Train { at: String::new() },
            Action::Forward { at: String::new(), input: input(dtype), no_grad: false },
            backward(),
        ],
    };
    Message::Request { id: 1, request }
}

fn answer() -> Message {
    let tensor =
        |shape: &[usize], values: &[f64]| Tensor::from_values(DType::F32, shape, values.iter().copied());
    let vector = |values: [f64; 2]| tensor(&[2], &values);
    let state = |mean, var, batches| {
        let state = LayerState {
            weight: Some(vector([2.0, 4.0])),
            bias: Some(vector([1.0, -1.0])),
            running_mean: Some(vector(mean)),
            running_var: Some(vector(var)),
            num_batches_tracked: Some(batches),
        };
        let named = |(name, tensor): (Observable, Tensor)| (TensorName::from(name), tensor);
        state.into_tensors().into_iter().map(named).collect::<Vec<_>>()
    };
    let step = |given: Vec<(Observable, Tensor)>, state: Vec<(TensorName, Tensor)>| {
        let given = given.into_iter().map(|(name, tensor)| (TensorName::from(name), tensor));
        StepAnswer { error: None, tensors: given.chain(state).collect() }
    };
    let before = || state([0.0, 0.0], [1.0, 1.0], 0);
    let after = || state([1.0, 5.5], [1.5, 1.5], 1);
    let too_early = LayerError::new(ErrorClass::NoGraph, "there is no output to go back from");
    let output = tensor(&[2, 2], &[0.0, -3.0, 2.0, 1.0]);
    let gradients = vec![
        (Observable::GradInput, tensor(&[2, 2], &[0.375, -0.75, -0.375, 0.75])),
        (Observable::GradWeight, vector([-0.5, 0.5])),
        (Observable::GradBias, vector([1.0, 1.0])),
    ];
    let steps = vec![
        step(Vec::new(), before()),
        StepAnswer { error: Some(too_early), tensors: before() },
        step(Vec::new(), before()),
        step(vec![(Observable::Output, output)], after()),
        step(gradients, after()),
    ];
    Message::Answer { id: 1, response: Response::Answered(steps) }
}

fn unsupported() -> Message {
    let reason = "this layer has no weight without a bias".to_owned();
    Message::Answer { id: 1, response: Response::Unsupported { reason } }
}

fn error() -> Message {
    let message = "the device was lost".to_owned();
    Message::Answer { id: 1, response: Response::Broken { how: Outcome::Error, message } }
}

fn examples() -> [(&'static str, Message); 6] {
    [
        ("hello", hello()),
        ("absent", absent()),
        ("request", request()),
        ("answer", answer()),
        ("unsupported", unsupported()),
        ("error", error()),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol")
}

/// A frame to be read: the message, and the tensors as bits. Taken apart by the library of the format.
fn readable(frame: &[u8]) -> Value {
    let (_, metadata) = SafeTensors::read_metadata(&frame[4..]).expect("a header of safetensors");
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get("bncheck")).expect("a message");
    let message: Value = serde_json::from_str(text).expect("JSON");
    let file = SafeTensors::deserialize(&frame[4..]).expect("a file of safetensors");
    let mut names: Vec<_> = file.names().into_iter().collect();
    names.sort_by_key(|name| metadata.info(name).map(|info| info.data_offsets));
    let tensor = |name: &str| {
        let view = file.tensor(name).expect("it is there");
        let size = view.dtype().bitsize() / 8;
        let bits = view.data().chunks(size).map(|bytes| {
            let bits = bytes.iter().rev().fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
            format!("0x{bits:0digits$x}", digits = 2 * size)
        });
        json!({
            "name": name, "dtype": view.dtype().to_string(), "shape": view.shape(), "bits": bits.collect::<Vec<_>>(),
        })
    };
    json!({"message": message, "tensors": names.into_iter().map(tensor).collect::<Vec<_>>()})
}

/// One tensor a line.
fn written(readable: &Value) -> String {
    let message = format!("{:#}", readable["message"]).replace('\n', "\n  ");
    let tensors: Vec<String> = readable["tensors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tensor| format!("\n    {tensor}"))
        .collect();
    let end = if tensors.is_empty() { "]" } else { "\n  ]" };
    format!("{{\n  \"message\": {message},\n  \"tensors\": [{}{end}\n}}\n", tensors.join(","))
}

#[test]
fn every_example_is_what_it_says() {
    for (name, message) in examples() {
        let frame = message.encode().expect("it is small");
        let (bytes, text) = (folder().join(format!("{name}.bin")), folder().join(format!("{name}.json")));
        if std::env::var_os("UPDATE_FRAMES").is_some() {
            std::fs::write(&bytes, &frame).expect("written");
            std::fs::write(&text, written(&readable(&frame))).expect("written");
        }
        let committed = std::fs::read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", bytes.display()));
        assert!(committed == frame, "{name}.bin is not what {message:?} is encoded to");
        assert_eq!(Message::decode(&committed[4..]).expect("a message"), message, "{name}.bin");
        let committed = std::fs::read_to_string(&text).expect("it is there");
        assert_eq!(committed, written(&readable(&frame)), "{name}.json");
    }
}

#[test]
fn the_examples_of_the_page_are_what_a_message_can_be() {
    let page = std::fs::read_to_string(folder().join("../protocol.md")).expect("it is there");
    let blocks: Vec<&str> =
        page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let mut kinds = Vec::new();
    for block in blocks {
        let value: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error} in\n{block}"));
        let kind = value.as_object().and_then(|fields| fields.keys().next()).cloned().expect("one");
        if kind == "0/weight" {
            continue;
        }
        // With a tensor of some kind wherever the message speaks of one.
        let header = json!({
            "__metadata__": {"bncheck": block},
            "layers/0/weight": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
            "steps/2/input": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
            "steps/3/grad": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
        });
        let plain = json!({"__metadata__": {"bncheck": block}});
        let header = if kind == "request" { header } else { plain }.to_string();
        let frame = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        Message::decode(&frame).unwrap_or_else(|error| panic!("{error} in\n{block}"));
        kinds.push(kind);
    }
    assert_eq!(kinds, ["hello", "request", "answer", "unsupported", "error"]);
}
