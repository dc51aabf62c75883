//! State dictionaries: what is saved, and what is loaded.

use crate::DType;
use crate::case::{Dictionary, Generated, Layer, Slot};
use crate::data::Role;
use crate::format::{Fill, LoadSpec};
use crate::observed::ErrorClass;
use crate::problem::did_you_mean;

use super::Resolver;
use super::script::{Here, Progress};

/// The counter's name in a dictionary.
const COUNTER: &str = "num_batches_tracked";

impl Resolver<'_> {
    pub(super) fn save_state(&mut self, here: Here<'_>, name: &str, progress: &mut Progress) {
        if name.is_empty() {
            self.problem(
                &format!("{}.save_state.name", here.path),
                "a state needs a name",
                "`{save_state: {name: before}}`",
            );
        }
        progress.saved.retain(|(known, _)| known != name);
        progress.saved.push((name.to_owned(), entries_of(here)));
    }

    pub(super) fn dictionary(
        &mut self,
        here: Here<'_>,
        load: &LoadSpec,
        progress: &mut Progress,
    ) -> Dictionary<Generated> {
        let path = format!("{}.load_state", here.path);
        if !matches!(load.version, 1 | 2) {
            let message = format!("there is no version {} of a batch norm's state", load.version);
            self.problem(&format!("{path}.version"), message, "1, or 2 since PyTorch 0.4.1");
        }
        let saved = match &load.from {
            None => Some(Vec::new()),
            Some(from) => {
                let known = progress.saved.iter().find(|(name, _)| name == from);
                if known.is_none() {
                    let guess = did_you_mean(from, progress.saved.iter().map(|(name, _)| name.as_str()));
                    let help =
                        guess.unwrap_or_else(|| format!("put `{{save_state: {{name: {from}}}}}` before it"));
                    self.problem(&format!("{path}.from"), format!("no state was saved as `{from}`"), help);
                }
                known.map(|(_, entries)| entries.clone())
            }
        };
        for (number, name) in load.without.iter().enumerate() {
            if saved.as_ref().is_some_and(|saved| !saved.contains(name)) {
                let message = format!("the dictionary has no `{name}` to leave out");
                let help = saved
                    .as_ref()
                    .map(|saved| format!("its entries: {}", saved.join(", ")))
                    .unwrap_or_default();
                self.problem(&format!("{path}.without.{number}"), message, help);
            }
        }
        if load.from.is_none() && load.entries.is_empty() {
            self.problem(
                &path,
                "`load_state` loads nothing",
                "`{load_state: {from: NAME}}`, or give `entries`",
            );
        }
        let mut entries = Vec::new();
        for (name, fill) in &load.entries {
            let entry = self.entry(here, &format!("{path}.entries.{name}"), name, fill, progress);
            entries.push((name.clone(), entry));
        }
        let (saved, without) = (load.from.clone(), load.without.clone());
        Dictionary { saved, without, entries, version: load.version }
    }

    /// One entry. It has the form of the layer's tensor of that name, unless it is written out in another one, which
    /// the case must expect to be refused.
    fn entry(
        &mut self,
        here: Here<'_>,
        place: &str,
        name: &str,
        fill: &Fill,
        progress: &mut Progress,
    ) -> Generated {
        let (layer, tensor) = name.rsplit_once('.').unwrap_or(("", name));
        let target = here.targets().into_iter().find(|target| relative(here.at, target) == layer);
        let slot = Slot::ALL.into_iter().find(|slot| slot.name() == tensor);
        let written = match fill {
            Fill::Values(elements) | Fill::Bits(elements) => Some(elements.len()),
            _ => None,
        };
        let (role, dtype, shape) = match (target, slot) {
            (Some(layer), Some(slot)) => {
                let shape = vec![written.unwrap_or(layer.features)];
                (Role::of(slot), layer.dtype_of(slot), shape)
            }
            (_, None) if tensor == COUNTER => (Role::RunningMean, DType::I64, Vec::new()),
            _ => (Role::RunningMean, self.spec.dtype, vec![written.unwrap_or(1)]),
        };
        // Missing and unexpected entries are told before wrong shapes.
        let told = [ErrorClass::EntryShape, ErrorClass::MissingEntry, ErrorClass::UnexpectedEntry];
        let excused = told.into_iter().any(|class| self.expects(here.number, class));
        if let (Some(layer), Some(_)) = (target, slot)
            && shape != [layer.features]
            && !excused
        {
            let message = format!("{name} has {} elements, the layer {} features", shape[0], layer.features);
            let number = here.number;
            let help =
                format!("to see the error, expect it: `expect: [{{step: {number}, error: entry_shape}}]`");
            self.problem(place, message, help);
        }
        self.fill(place, fill, role, dtype, &shape);
        Self::generated(fill, role, dtype, shape, here.layers.len(), progress)
    }
}

/// The path of a layer within a part.
fn relative<'l>(at: &str, layer: &'l Layer) -> &'l str {
    layer.path.strip_prefix(at).map_or("", |rest| rest.strip_prefix('.').unwrap_or(rest))
}

/// The names in the `state_dict()` of a part, as its layers are constructed.
fn entries_of(here: Here<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for layer in here.targets() {
        let path = relative(here.at, layer);
        let named = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        names.extend(Slot::ALL.iter().filter(|slot| layer.has(**slot)).map(|slot| named(slot.name())));
        names.extend(layer.spec.track_running_stats.then(|| named(COUNTER)));
    }
    names
}
