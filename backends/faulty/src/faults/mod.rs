//! The faults, by subject.

mod accumulation;
mod affine;
mod configuration;
mod eps;
mod gradient;
mod layout;
mod modes;
mod precision;
mod running;
mod state;
mod statistics;
mod tools;

use std::sync::LazyLock;

use crate::Fault;

static CATALOGUE: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    [
        statistics::FAULTS,
        precision::FAULTS,
        eps::FAULTS,
        affine::FAULTS,
        layout::FAULTS,
        running::FAULTS,
        gradient::FAULTS,
        accumulation::FAULTS,
        modes::FAULTS,
        configuration::FAULTS,
        state::FAULTS,
    ]
    .concat()
});

/// All faults, by subject: statistics, precision, eps, affine, layout, running statistics, gradients, their
/// accumulation, modes, configuration, state.
pub fn catalogue() -> &'static [Fault] {
    &CATALOGUE
}
