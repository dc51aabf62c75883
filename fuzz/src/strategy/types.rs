//! Element types.

use bn_cases::DType;
use proptest::prelude::*;

/// The types of a layer's tensors, where they are not the case's.
#[derive(Debug, Clone, Copy)]
pub struct LayerTypes {
    pub parameters: Option<DType>,
    pub statistics: Option<DType>,
}

/// Any of the floating-point types.
pub fn float() -> BoxedStrategy<DType> {
    prop::sample::select(vec![DType::F32, DType::F64, DType::F16, DType::Bf16]).boxed()
}

/// The type of a case, and the types of its layers: mostly what PyTorch computes with.
pub fn case() -> BoxedStrategy<(DType, LayerTypes)> {
    let same = prop_oneof![
        5 => Just(DType::F32),
        2 => Just(DType::F64),
        2 => Just(DType::F16),
        2 => Just(DType::Bf16),
    ];
    let beside_halves = LayerTypes { parameters: Some(DType::F32), statistics: None };
    let half = prop::sample::select(vec![DType::F16, DType::Bf16]);
    prop_oneof![
        20 => (same, layer()),
        4 => half.prop_map(move |half| (half, beside_halves)),
        1 => (float(), any_layer()),
    ]
    .boxed()
}

/// The types of one layer of a model, which seldom are its own.
pub fn layer() -> BoxedStrategy<LayerTypes> {
    let none = LayerTypes { parameters: None, statistics: None };
    prop_oneof![30 => Just(none), 1 => any_layer()].boxed()
}

fn any_layer() -> BoxedStrategy<LayerTypes> {
    let own = || prop::option::of(float());
    (own(), own()).prop_map(|(parameters, statistics)| LayerTypes { parameters, statistics }).boxed()
}

/// The type of an input.
#[derive(Debug, Clone, Copy)]
pub enum InputType {
    /// The case's.
    Case,
    /// That of the first tensor of the layers, as it is after casts.
    Layers,
    /// This one; also integers, which are refused.
    Own(DType),
}

/// Types of the inputs of a whole case.
pub fn of_inputs() -> BoxedStrategy<InputType> {
    prop_oneof![60 => Just(InputType::Case), 1 => own()].boxed()
}

/// Types of the input of one forward.
pub fn of_one_input() -> BoxedStrategy<InputType> {
    prop_oneof![30 => Just(InputType::Case), 12 => Just(InputType::Layers), 1 => own()].boxed()
}

fn own() -> BoxedStrategy<InputType> {
    prop_oneof![3 => float(), 1 => Just(DType::I64)].prop_map(InputType::Own).boxed()
}
