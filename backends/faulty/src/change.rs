//! What a fault may replace.

use bn_api::{
    DType, Entries, ErrorClass, Input, LayerConfig, LayerError, Layout, Loaded, Output, ParameterGradients,
    Setting, Slot, Tensor,
};
use bn_stages::{Arithmetic, Context, Moments, Rows, Running, Saved, Statistics, Sums};

use crate::kernel::FaultyKernel;
use crate::layer::{Hooks, Inner};

/// Lists what can be replaced: of the stages, of the hooks around a layer.
macro_rules! parts {
    (
        stages { $($stage:ident $stage_field:ident: $stage_type:ty,)* }
        hooks { $($hook:ident $hook_field:ident: $hook_type:ty,)* }
    ) => {
        /// Something replaced.
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs, reason = "each is the field of Stages or Hooks of the same name")]
        pub enum Part {
            $($stage($stage_type),)*
            $($hook($hook_type),)*
            /// What a forward keeps for its backward, of what the layer's forward before it kept.
            Keep(fn(Option<&Saved>, Saved) -> Saved),
            /// What the layer is made of.
            Config(fn(&mut LayerConfig)),
            /// A check that is left out.
            Unchecked(ErrorClass),
        }

        impl Part {
            /// Whether it replaces a part of the kernel, of which there is one alone.
            pub(crate) fn is_of_kernel(&self) -> bool {
                match self {
                    $(Part::$hook(_) => false,)*
                    Part::Config(_) => false,
                    _ => true,
                }
            }

            /// Replaces a part of the kernel, if it is one.
            pub(crate) fn change_kernel(self, kernel: &mut FaultyKernel) {
                match self {
                    $(Part::$stage(it) => kernel.stages.$stage_field = it,)*
                    Part::Keep(it) => kernel.keep = Some(it),
                    _ => {}
                }
            }

            /// Replaces a hook, and says whether it is one.
            pub(crate) fn change_layer(self, hooks: &mut Hooks) -> bool {
                match self {
                    $(Part::$hook(it) => hooks.$hook_field = it,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

parts! {
    stages {
        Arithmetic arithmetic: fn(DType, DType) -> Arithmetic,
        Read read: fn(&Tensor, Layout) -> Rows,
        ReadGradient read_gradient: fn(&Saved, &Tensor, Layout) -> Rows,
        Parameter parameter: fn(Arithmetic, f64) -> f64,
        Sum sum: fn(Arithmetic, &[f64]) -> f64,
        Statistics statistics: fn(&Context, usize) -> (f64, f64),
        Unbiased unbiased: fn(&Context, f64) -> f64,
        Average average: fn(&Context, Slot, f64, f64) -> f64,
        Moves moves: fn(&Context) -> bool,
        MoveRunning move_running: fn(&Context, &Running, &[(f64, f64)]) -> Running,
        Running running: fn(&Context, &Running, usize) -> (f64, f64),
        Applied applied: fn(&Context, Vec<Moments>, Option<&Running>) -> Vec<Moments>,
        InverseStd inverse_std: fn(&Context, usize, f64) -> f64,
        Normalise normalise: fn(&Context, usize, &Statistics, f64) -> f64,
        Output output: fn(&Context, usize, &Statistics, f64, f64) -> f64,
        AllNormalised all_normalised: fn(&Context, &[Statistics]) -> Rows,
        AllOutput all_output: fn(&Context, &[Statistics], &Rows) -> Rows,
        Write write: fn(&Context, DType, &Rows) -> Tensor,
        GradientSums gradient_sums: fn(&Saved, usize, &[f64]) -> Sums,
        GradInput grad_input: fn(&Saved, usize, &Sums, usize, f64) -> f64,
        GradWeight grad_weight: fn(&Saved, usize, &Sums) -> f64,
        GradBias grad_bias: fn(&Saved, usize, &Sums) -> f64,
    }
    hooks {
        SetTraining set_training: fn(&mut Inner, bool) -> Result<(), LayerError>,
        Forward forward: fn(&mut Inner, &Input, bool) -> Result<Output, LayerError>,
        Backward backward: fn(&mut Inner, &Tensor, Layout) -> Result<Option<Tensor>, LayerError>,
        Gradients gradients: fn(&Inner) -> Result<ParameterGradients, LayerError>,
        ZeroGrad zero_grad: fn(&mut Inner) -> Result<(), LayerError>,
        Sgd sgd: fn(&mut Inner, f64) -> Result<(), LayerError>,
        Reset reset: fn(&mut Inner) -> Result<(), LayerError>,
        Set set: fn(&mut Inner, &Setting) -> Result<(), LayerError>,
        RequiresGrad requires_grad: fn(&mut Inner, Slot, bool) -> Result<(), LayerError>,
        Cast cast: fn(&mut Inner, &[Slot], DType) -> Result<(), LayerError>,
        LoadState load_state: fn(&mut Inner, &Entries, u32) -> Result<Loaded, LayerError>,
    }
}
