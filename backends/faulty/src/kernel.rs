//! The kernel with its stages, some of them mistaken, and a memory of its latest forward.

use std::cell::RefCell;

use bn_api::{Forward, Gradients, Kernel, LayerError, Layout, Tensor, Wanted};
use bn_stages::{Saved, StagedKernel, Stages};

/// Stages, and what is kept of a forward.
pub(crate) struct FaultyKernel {
    pub stages: Stages,
    pub keep: Option<fn(Option<&Saved>, Saved) -> Saved>,
    latest: RefCell<Option<Saved>>,
}

impl FaultyKernel {
    /// With what a forward found kept as it is.
    pub fn new(stages: Stages) -> Self {
        FaultyKernel { stages, keep: None, latest: RefCell::default() }
    }
}

impl Kernel for FaultyKernel {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        let (output, found) = StagedKernel(self.stages).forward(call)?;
        let Some(keep) = self.keep else { return Ok((output, found)) };
        let mut latest = self.latest.borrow_mut();
        let saved = keep(latest.as_ref(), found);
        *latest = Some(saved.clone());
        Ok((output, saved))
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        StagedKernel(self.stages).backward(saved, grad_output, layout, wanted)
    }
}
