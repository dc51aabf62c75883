//! State dictionaries, casts and resets.

use bn_api::{COUNTER, DType, Entries, Observable, Slot, Tensor};

use super::tools::{STATISTICS, VARIANCE};
use crate::{Fault, Part};

const TENSORS: &[Observable] =
    &[Observable::Weight, Observable::Bias, Observable::RunningMean, Observable::RunningVar];
const PARAMETERS: &[Observable] = &[Observable::Weight, Observable::Bias];
const NUMBER: &[Observable] = &[Observable::NumBatchesTracked];
const STATE: &[Observable] = &[
    Observable::RunningMean,
    Observable::RunningVar,
    Observable::NumBatchesTracked,
    Observable::Weight,
    Observable::Bias,
];

/// The entries without some of them.
fn without(entries: &Entries, left_out: &[&str]) -> Entries {
    entries.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).cloned().collect()
}

/// The bits of a number cut off where those of a narrower type end.
fn cut(value: f64, to: DType) -> f64 {
    let nearest = to.round(value);
    if value.is_finite() && nearest.abs() > value.abs() {
        to.value_of(to.bits_of(nearest).wrapping_sub(1))
    } else {
        nearest
    }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "load-changes-nothing",
        about: "load_state_dict checks the entries and copies none",
        tensors: STATE,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let before = inner.layer.state()?;
            let loaded = inner.layer.load_state(entries, version)?;
            let named = before.into_tensors();
            let old: Entries =
                named.into_iter().map(|(name, tensor)| (name.name().to_owned(), tensor)).collect();
            inner.layer.load_state(&old, 2)?;
            Ok(loaded)
        })],
    },
    Fault {
        name: "statistics-not-loaded",
        about: "load_state_dict copies weight and bias, not the running statistics",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let before = inner.layer.state()?;
            let loaded = inner.layer.load_state(entries, version)?;
            inner.put_statistics(&before)?;
            Ok(loaded)
        })],
    },
    Fault {
        name: "counter-not-loaded",
        about: "load_state_dict does not copy num_batches_tracked",
        tensors: NUMBER,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let before = inner.layer.state()?.num_batches_tracked;
            let loaded = inner.layer.load_state(entries, version)?;
            inner.put_counter(before)?;
            Ok(loaded)
        })],
    },
    Fault {
        name: "counter-reset-by-an-old-dictionary",
        about: "num_batches_tracked becomes 0 when a dictionary without it is loaded",
        tensors: NUMBER,
        link: Some("https://github.com/pytorch/pytorch/issues/110361"),
        parts: &[Part::LoadState(|inner, entries, version| {
            let loaded = inner.layer.load_state(entries, version)?;
            if inner.config.track_running_stats && entries.iter().all(|(name, _)| name != COUNTER) {
                inner.put_counter(Some(0))?;
            }
            Ok(loaded)
        })],
    },
    Fault {
        name: "old-dictionary-refused",
        about: "a dictionary from before there was a num_batches_tracked is refused",
        tensors: &[],
        link: None,
        parts: &[Part::LoadState(|inner, entries, _| inner.layer.load_state(entries, 2))],
    },
    Fault {
        name: "counter-may-be-missing",
        about: "a dictionary without num_batches_tracked is taken for an old one, whatever its version",
        tensors: &[],
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let mut loaded = inner.layer.load_state(entries, version)?;
            loaded.missing.retain(|name| name != COUNTER);
            Ok(loaded)
        })],
    },
    Fault {
        name: "missing-entries-accepted",
        about: "load_state_dict does not say which tensors the dictionary lacks",
        tensors: &[],
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let mut loaded = inner.layer.load_state(entries, version)?;
            loaded.missing.clear();
            Ok(loaded)
        })],
    },
    Fault {
        name: "unexpected-entries-accepted",
        about: "load_state_dict does not say which entries the layer has no tensor for",
        tensors: &[],
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let mut loaded = inner.layer.load_state(entries, version)?;
            loaded.unexpected.clear();
            Ok(loaded)
        })],
    },
    Fault {
        name: "entries-of-a-wrong-shape-accepted",
        about: "an entry of another shape than its tensor is left out without an error",
        tensors: &[],
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let mut loaded = inner.layer.load_state(entries, version)?;
            loaded.misshapen.clear();
            Ok(loaded)
        })],
    },
    Fault {
        name: "load-all-or-nothing",
        about: "where one entry does not fit, load_state_dict copies none of the others",
        tensors: STATE,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let before = inner.layer.state()?;
            let loaded = inner.layer.load_state(entries, version)?;
            if !(loaded.missing.is_empty() && loaded.unexpected.is_empty() && loaded.misshapen.is_empty()) {
                let named = before.into_tensors();
                let old: Entries =
                    named.into_iter().map(|(name, tensor)| (name.name().to_owned(), tensor)).collect();
                inner.layer.load_state(&old, 2)?;
            }
            Ok(loaded)
        })],
    },
    Fault {
        name: "bias-not-loaded",
        about: "load_state_dict copies weight and the buffers, not bias",
        tensors: &[Observable::Bias],
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let mut loaded = inner.layer.load_state(&without(entries, &["bias"]), version)?;
            if entries.iter().any(|(name, _)| name == "bias") {
                loaded.missing.retain(|name| name != "bias");
            }
            Ok(loaded)
        })],
    },
    Fault {
        name: "load-changes-the-type",
        about: "after load_state_dict the tensors are of the entries' type instead of the layer's",
        tensors: TENSORS,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let loaded = inner.layer.load_state(entries, version)?;
            for slot in Slot::ALL {
                let entry = entries.iter().find(|(name, _)| name == slot.name());
                if let Some(dtype) = entry.map(|(_, entry)| entry.dtype()).filter(|it| it.is_float()) {
                    inner.layer.cast(&[slot], dtype)?;
                }
            }
            Ok(loaded)
        })],
    },
    Fault {
        name: "load-swaps-weight-and-bias",
        about: "weight and bias are taken from a dictionary in alphabetical order",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let swapped = |name: &str| match name {
                "weight" => "bias".to_owned(),
                "bias" => "weight".to_owned(),
                name => name.to_owned(),
            };
            let entries: Entries =
                entries.iter().map(|(name, tensor)| (swapped(name), tensor.clone())).collect();
            inner.layer.load_state(&entries, version)
        })],
    },
    Fault {
        name: "running-var-loaded-as-a-deviation",
        about: "load_state_dict takes the running variance for a deviation and squares it",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::LoadState(|inner, entries, version| {
            let squared = |(name, tensor): &(String, Tensor)| {
                let squares = tensor.values().into_iter().map(|value| value * value);
                let tensor = if name == Slot::RunningVar.name() {
                    Tensor::from_values(tensor.dtype(), tensor.shape(), squares)
                } else {
                    tensor.clone()
                };
                (name.clone(), tensor)
            };
            let entries: Entries = entries.iter().map(squared).collect();
            inner.layer.load_state(&entries, version)
        })],
    },
    Fault {
        name: "cast-leaves-statistics",
        about: "a cast converts weight and bias and leaves the running statistics in their type",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Cast(|inner, slots, to| {
            let parameters: Vec<Slot> = slots.iter().copied().filter(|slot| slot.is_parameter()).collect();
            inner.layer.cast(&parameters, to)
        })],
    },
    Fault {
        name: "cast-resets-statistics",
        about: "a cast makes new running statistics of the new type, 0 and 1",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Cast(|inner, slots, to| {
            inner.layer.cast(slots, to)?;
            let state = inner.layer.state()?;
            for (slot, held, value) in
                [(Slot::RunningMean, state.running_mean, 0.0), (Slot::RunningVar, state.running_var, 1.0)]
            {
                if let Some(held) = held.filter(|_| slots.contains(&slot)) {
                    inner.put(slot, Some(&Tensor::full(held.dtype(), held.shape(), value)))?;
                }
            }
            Ok(())
        })],
    },
    Fault {
        name: "cast-cuts-off",
        about: "a cast to a narrower type cuts the statistics off instead of rounding them to nearest",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Cast(|inner, slots, to| {
            let state = inner.layer.state()?;
            inner.layer.cast(slots, to)?;
            for (slot, held) in
                [(Slot::RunningMean, state.running_mean), (Slot::RunningVar, state.running_var)]
            {
                if let Some(held) = held.filter(|_| slots.contains(&slot) && to.is_half()) {
                    let values = held.values().into_iter().map(|value| cut(value, to));
                    inner.put(slot, Some(&Tensor::from_values(to, held.shape(), values)))?;
                }
            }
            Ok(())
        })],
    },
    Fault {
        name: "cast-forgets-gradients",
        about: "a cast makes new parameters, which have no gradients",
        tensors: &[Observable::GradWeight, Observable::GradBias],
        link: None,
        parts: &[Part::Cast(|inner, slots, to| {
            inner.layer.zero_grad()?;
            inner.layer.cast(slots, to)
        })],
    },
    Fault {
        name: "reset-changes-nothing",
        about: "reset_running_stats leaves the statistics as they are",
        tensors: &[Observable::RunningMean, Observable::RunningVar, Observable::NumBatchesTracked],
        link: None,
        parts: &[Part::Reset(|_| Ok(()))],
    },
    Fault {
        name: "reset-keeps-the-counter",
        about: "reset_running_stats does not set the counter to 0",
        tensors: NUMBER,
        link: None,
        parts: &[Part::Reset(|inner| {
            let before = inner.layer.state()?.num_batches_tracked;
            inner.layer.reset_running_stats()?;
            inner.put_counter(before)
        })],
    },
    Fault {
        name: "reset-to-zero-variance",
        about: "reset_running_stats sets the running variance to 0",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Reset(|inner| {
            inner.layer.reset_running_stats()?;
            let state = inner.layer.state()?;
            match state.running_var.filter(|_| inner.config.track_running_stats) {
                Some(var) => inner.put(Slot::RunningVar, Some(&Tensor::full(var.dtype(), var.shape(), 0.0))),
                None => Ok(()),
            }
        })],
    },
    Fault {
        name: "reset-of-weight-and-bias-too",
        about: "reset_running_stats sets weight to 1 and bias to 0 as well",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::Reset(|inner| {
            inner.layer.reset_running_stats()?;
            let state = inner.layer.state()?;
            let full = |name: &str, it: Option<Tensor>, value: f64| {
                it.map(|it| (name.to_owned(), Tensor::full(it.dtype(), it.shape(), value)))
            };
            let entries = [full("weight", state.weight, 1.0), full("bias", state.bias, 0.0)];
            inner.layer.load_state(&entries.into_iter().flatten().collect(), 2)?;
            Ok(())
        })],
    },
    Fault {
        name: "reset-without-tracking",
        about: "reset_running_stats resets buffers that are there although tracking is switched off",
        tensors: &[Observable::RunningMean, Observable::RunningVar, Observable::NumBatchesTracked],
        link: None,
        parts: &[Part::Reset(|inner| {
            let state = inner.layer.state()?;
            if inner.config.track_running_stats || state.running_mean.is_none() || state.running_var.is_none()
            {
                return inner.layer.reset_running_stats();
            }
            inner.layer.set(&bn_api::Setting::TrackRunningStats(true))?;
            inner.layer.reset_running_stats()?;
            inner.layer.set(&bn_api::Setting::TrackRunningStats(false))
        })],
    },
];
