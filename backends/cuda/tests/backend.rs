//! The kernel as a backend, on the interpreter: the worked example, and what a device that fails makes of a case.

use std::sync::Arc;

use bn_api::{
    Action, DType, Input, LayerConfig, LayerKind, Layout, Outcome, Request, Responder, Response, Tensor,
    worked_example,
};
use bn_cuda::backend::{Cuda, Devices};
use bn_cuda::interpreter::Interpreter;
use bn_cuda::launch::{LaunchError, Launcher};
use bn_cuda::{Absent, Accumulator, CudaResponder, Executes, ptx};
use bn_ptx::Module;

fn interpreter(storage: DType) -> Result<Box<dyn Launcher>, LaunchError> {
    Ok(Box::new(Interpreter::open(storage)?))
}

/// A device of 64 KiB.
fn small(storage: DType) -> Result<Box<dyn Launcher>, LaunchError> {
    let module = Module::parse(ptx::verified(storage)?.1).expect("the committed PTX is understood");
    Ok(Box::new(Interpreter::new(Arc::new(module), 1 << 16)))
}

fn info() -> bn_api::BackendInfo {
    Absent::new("cuda-ptx", Executes::Ptx, Accumulator::Single, String::new()).info().clone()
}

fn backend(accumulator: Accumulator) -> Cuda {
    Cuda::new(info(), Devices::new(interpreter, accumulator))
}

#[test]
fn the_worked_example_comes_out_in_every_type_and_both_accumulators() {
    for accumulator in [Accumulator::Single, Accumulator::Double] {
        let backend = backend(accumulator);
        for dtype in DType::FLOATS {
            worked_example::check_training(&backend, dtype, dtype);
            worked_example::check_evaluation(&backend, dtype, dtype);
        }
        for half in [DType::F16, DType::Bf16] {
            worked_example::check_training(&backend, half, DType::F32);
            worked_example::check_evaluation(&backend, half, DType::F32);
        }
    }
}

#[test]
fn layers_keep_to_themselves_and_gradients_accumulate() {
    let backend = backend(Accumulator::Single);
    worked_example::check_layers_are_apart(&backend);
    worked_example::check_accumulation(&backend);
    worked_example::check_no_grad(&backend);
}

/// One forward of zeros of this shape.
fn forward(shape: &[usize]) -> Request {
    let tensor = Tensor::full(DType::F32, shape, 0.0);
    let dtype = tensor.dtype();
    let input = Input { tensor, dtype, layout: Layout::Contiguous, requires_grad: true };
    Request {
        case: "one forward".to_owned(),
        layers: vec![LayerConfig::new(LayerKind::BatchNorm1d, shape[1], dtype)],
        actions: vec![Action::Forward { at: String::new(), input, no_grad: false }],
    }
}

#[test]
fn a_shape_beyond_the_devices_memory_is_an_error_of_that_case_only() {
    let mut responder = CudaResponder::new(info(), small, Accumulator::Single);
    let Response::Broken { how: Outcome::Error, message } = responder.respond(&forward(&[100, 200])) else {
        panic!("80,000 bytes fit into 65,536");
    };
    assert!(message.starts_with("the device is out of memory: 80000 bytes were asked for"), "{message}");
    assert!(message.ends_with("65536 of 65536 are free"), "{message}");
    let Response::Answered(steps) = responder.respond(&forward(&[10, 20])) else {
        panic!("the next case is not answered");
    };
    assert!(steps.iter().all(|step| step.error.is_none()), "{steps:?}");
}

#[test]
fn who_is_not_there_says_so_to_every_case() {
    let mut absent = Absent::new("cuda", Executes::Gpu, Accumulator::Single, "there is no driver".to_owned());
    let reason = "there is no driver".to_owned();
    assert_eq!(absent.respond(&forward(&[2, 3])), Response::Unsupported { reason });
    assert_eq!(absent.info().name, "cuda");
}
