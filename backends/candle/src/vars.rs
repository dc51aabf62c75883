//! The variables of a `VarMap` by the names that candle and PyTorch share.

use std::sync::PoisonError;

use bn_api::Slot;
use candle_core::Var;
use candle_nn::VarMap;

/// The variable of a tensor, where there is one.
pub fn get(vars: &VarMap, slot: Slot) -> Option<Var> {
    vars.data().lock().unwrap_or_else(PoisonError::into_inner).get(slot.name()).cloned()
}

/// Puts a variable in its place.
pub fn put(vars: &VarMap, slot: Slot, var: Var) {
    vars.data().lock().unwrap_or_else(PoisonError::into_inner).insert(slot.name().to_owned(), var);
}
