//! Every method against examples worked out by hand.

use std::collections::BTreeSet;

use bn_api::{
    Backend, BackendInfo, DType, Input, Layer, LayerConfig, LayerError, LayerKind, Layout, ModuleLayer,
    Tensor, worked_example,
};
use bn_sound::{METHODS, Sound};
use bn_stages::{Context, StagedKernel, Stages};

#[test]
fn there_are_enough_of_them_and_no_two_have_one_name() {
    let names: BTreeSet<&str> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len());
    assert!(METHODS.len() >= 12);
    assert!(METHODS.iter().all(|method| !method.about.is_empty()));
}

#[test]
fn the_worked_example_comes_out_in_every_type() {
    for method in &METHODS {
        let backend = Sound(method);
        for dtype in DType::FLOATS {
            worked_example::check_training(&backend, dtype, dtype);
            worked_example::check_evaluation(&backend, dtype, dtype);
        }
        for half in [DType::F16, DType::Bf16] {
            worked_example::check_training(&backend, half, DType::F32);
            worked_example::check_evaluation(&backend, half, DType::F32);
        }
        worked_example::check_layers_are_apart(&backend);
        worked_example::check_accumulation(&backend);
        worked_example::check_no_grad(&backend);
        worked_example::check_lacks(&backend);
    }
}

/// E[x²] - E[x]², which is not sound.
struct OnePass;

impl Backend for OnePass {
    fn info(&self) -> BackendInfo {
        Sound(&METHODS[0]).info()
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        let statistics = |c: &Context, channel: usize| {
            let (a, x) = (c.arithmetic, &c.x[channel]);
            let n = x.len() as f64;
            let squares: Vec<f64> = x.iter().map(|x| a.mul(*x, *x)).collect();
            let mean = a.div((c.stages.sum)(a, x), n);
            (mean, a.sub(a.div((c.stages.sum)(a, &squares), n), a.mul(mean, mean)))
        };
        let stages = Stages { statistics, ..Stages::plain() };
        Ok(Box::new(ModuleLayer::new(StagedKernel(stages), config)))
    }
}

/// How far the running variance is from 6: that of 8192 + 1, …, 8192 + 8, of mean 8196.5 and biased variance 5.25.
fn error_of_the_variance(backend: &dyn Backend) -> f64 {
    let config =
        LayerConfig { momentum: Some(1.0), ..LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F32) };
    let values = (1..=8).map(|k| 8192.0 + f64::from(k));
    let tensor = Tensor::from_values(DType::F32, &[8, 1], values);
    let input = Input { tensor, dtype: DType::F32, layout: Layout::Contiguous, requires_grad: false };
    let mut layer = backend.create(&config).unwrap();
    layer.forward(&input, false).unwrap();
    (worked_example::running(&*layer).1[0] - 6.0).abs()
}

#[test]
fn where_the_mean_is_large_the_variance_is_right_to_the_last_digits() {
    assert!(error_of_the_variance(&OnePass) >= 0.5);
    for method in &METHODS {
        let error = error_of_the_variance(&Sound(method));
        assert!(error <= 5e-6, "{}: {error}", method.name);
    }
}
