//! Hashes of questions and answers: the first eight bytes of a SHA-256. They show what has changed, and are no protection
//! from somebody who means to deceive.

use bn_api::{LayerConfig, Request, Response, StepAnswer, Tensor};
use sha2::{Digest, Sha256};

/// Of a request: its layers, its steps and every bit of its tensors.
pub fn of_request(request: &Request) -> u64 {
    let mut hash = Hash::default();
    hash.text(&request.case);
    hash.number(request.layers.len());
    for layer in &request.layers {
        let tensors = [&layer.weight, &layer.bias, &layer.running_mean, &layer.running_var];
        let bare =
            LayerConfig { weight: None, bias: None, running_mean: None, running_var: None, ..layer.clone() };
        hash.json(&bare);
        for tensor in tensors {
            hash.number(usize::from(tensor.is_some()));
            if let Some(tensor) = tensor {
                hash.tensor(tensor);
            }
        }
    }
    hash.number(request.actions.len());
    for action in &request.actions {
        let mut tensors = Vec::new();
        // The step with the numbers of its tensors in their places.
        let bare = action.map(&mut |tensor: &Tensor| {
            tensors.push(tensor.clone());
            tensors.len()
        });
        hash.json(&bare);
        for tensor in &tensors {
            hash.tensor(tensor);
        }
    }
    hash.end()
}

/// Of an answer: every bit of its tensors, and every word.
pub fn of_response(response: &Response) -> u64 {
    let mut hash = Hash::default();
    match response {
        Response::Answered(steps) => {
            hash.text("answered");
            hash.number(steps.len());
            for step in steps {
                hash.step(step);
            }
        }
        Response::Unsupported { reason } => {
            hash.text("unsupported");
            hash.text(reason);
        }
        Response::Broken { how, message } => {
            hash.text("broken");
            hash.json(how);
            hash.text(message);
        }
    }
    hash.end()
}

/// Of everything that is hashed in order, in hexadecimal.
pub fn of_all(parts: impl IntoIterator<Item = u64>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.to_le_bytes());
    }
    hex(&hash.finalize())
}

/// Of bytes, in hexadecimal.
pub fn of_bytes(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Whatever has no length of its own is hashed after its length, so that no two things are hashed alike.
#[derive(Default)]
struct Hash(Sha256);

impl Hash {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn json(&mut self, value: &impl serde::Serialize) {
        // What these values hold can always be said in JSON.
        self.text(&serde_json::to_string(value).unwrap_or_default());
    }

    fn tensor(&mut self, tensor: &Tensor) {
        self.text(tensor.dtype().name());
        self.number(tensor.shape().len());
        for &size in tensor.shape() {
            self.number(size);
        }
        self.0.update(tensor.bytes());
    }

    fn step(&mut self, step: &StepAnswer) {
        self.number(usize::from(step.error.is_some()));
        if let Some(error) = &step.error {
            self.text(error.class.name());
            self.text(&error.message);
        }
        self.number(step.tensors.len());
        for (name, tensor) in &step.tensors {
            self.text(&name.to_string());
            self.tensor(tensor);
        }
    }

    fn end(self) -> u64 {
        let hash = self.0.finalize();
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(&hash[..]) {
            *to = *from;
        }
        u64::from_le_bytes(first)
    }
}
