//! candle's `candle_nn::BatchNorm` as a backend, as it ships: made by `candle_nn::batch_norm` on a `VarMap`,
//! trained with candle's autograd and `candle_nn::SGD`, loaded by the map's own `load`, on the CPU.
//!
//! Nothing is put right here: where candle errs or differs, that is for the verdicts to show.

mod backend;
mod convert;
mod error;
mod layer;
mod state_dict;
mod vars;
mod view;

pub use backend::Candle;
