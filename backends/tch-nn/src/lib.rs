//! tch's `nn::BatchNorm` as a backend, as it ships: made by `nn::batch_norm{1,2,3}d`, trained with `.grad`
//! and `nn::Sgd`, cast and loaded by its `nn::VarStore`.
//!
//! Nothing is put right here. Its weight starts uniform between 0 and 1 where PyTorch's starts with ones, it
//! panics where PyTorch raises, and it has no counter: that is for the verdicts to show.

mod backend;
mod layer;
mod state_dict;

pub use backend::TchNn;
