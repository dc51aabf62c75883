//! Which layers of a model are in training mode, and what of them is trained: the rules of `torch.nn.Module` for
//! `train()`, `eval()` and `requires_grad`, and of the loops that people freeze layers with.

use super::{Action, Frozen, Reach, Setting, Slot};

/// The modes of all layers of a model.
#[derive(Debug, Clone)]
pub struct Modes {
    layers: Vec<LayerMode>,
    sticky: Vec<Sticky>,
}

/// The modes of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMode {
    /// The layer's path.
    pub path: String,
    /// Whether it is in training mode.
    pub training: bool,
    /// `requires_grad` of weight, where there is one.
    pub weight: bool,
    /// `requires_grad` of bias, where there is one.
    pub bias: bool,
}

/// A part whose `train()` is overridden.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sticky {
    at: String,
    statistics: bool,
    affine: bool,
    reach: Reach,
}

/// Whether `path` is `part` or lies below it; everything lies below the empty path.
pub fn is_within(part: &str, path: &str) -> bool {
    part.is_empty() || path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether `path` is that of a direct child of `part`.
fn is_child(part: &str, path: &str) -> bool {
    let below = if part.is_empty() {
        Some(path)
    } else {
        path.strip_prefix(part).and_then(|rest| rest.strip_prefix('.'))
    };
    below.is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

impl Modes {
    /// New layers with these paths: in training mode, everything trained.
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let new = |path: &str| LayerMode { path: path.to_owned(), training: true, weight: true, bias: true };
        Modes { layers: paths.into_iter().map(new).collect(), sticky: Vec::new() }
    }

    /// The layers, in their order.
    pub fn layers(&self) -> &[LayerMode] {
        &self.layers
    }

    /// What a step makes of them.
    pub fn apply<T>(&mut self, action: &Action<T>) {
        match action {
            Action::Train { at } => self.train(at, true),
            Action::Eval { at } => self.train(at, false),
            Action::Freeze { at, what, reach, sticky } => {
                self.freeze(at, what.statistics(), what.affine(), *reach);
                if *sticky {
                    let (statistics, affine) = (what.statistics(), what.affine());
                    self.sticky.push(Sticky { at: at.clone(), statistics, affine, reach: *reach });
                }
            }
            Action::Unfreeze { at, what, reach } => self.unfreeze(at, *what, *reach),
            Action::RequiresGrad { at, weight, bias } => {
                for layer in self.layers.iter_mut().filter(|layer| is_within(at, &layer.path)) {
                    layer.weight = weight.unwrap_or(layer.weight);
                    layer.bias = bias.unwrap_or(layer.bias);
                }
            }
            Action::Set { at, settings } => {
                for layer in self.layers.iter_mut().filter(|layer| is_within(at, &layer.path)) {
                    for setting in settings {
                        // A new parameter is trained.
                        match setting {
                            Setting::Tensor(Slot::Weight, _) => layer.weight = true,
                            Setting::Tensor(Slot::Bias, _) => layer.bias = true,
                            _ => {}
                        }
                    }
                }
            }
            Action::Forward { .. }
            | Action::Backward { .. }
            | Action::Cast { .. }
            | Action::ZeroGrad { .. }
            | Action::Sgd { .. }
            | Action::ResetRunningStats { .. }
            | Action::SaveState { .. }
            | Action::LoadState { .. } => {}
        }
    }

    /// `train(mode)` of a part, which calls that of everything below it. An overridden one freezes afterwards.
    fn train(&mut self, at: &str, training: bool) {
        for layer in self.layers.iter_mut().filter(|layer| is_within(at, &layer.path)) {
            layer.training = training;
        }
        let called: Vec<Sticky> =
            self.sticky.iter().filter(|sticky| is_within(at, &sticky.at)).cloned().collect();
        for sticky in called {
            self.freeze(&sticky.at, sticky.statistics, sticky.affine, sticky.reach);
        }
    }

    fn freeze(&mut self, at: &str, statistics: bool, affine: bool, reach: Reach) {
        for layer in self.layers.iter_mut().filter(|layer| reaches(reach, at, &layer.path)) {
            layer.training &= !statistics;
            layer.weight &= !affine;
            layer.bias &= !affine;
            // eval() is train(False), which the layer's own may override.
            let own = self.sticky.iter().filter(|sticky| statistics && sticky.at == layer.path);
            for sticky in own.filter(|sticky| sticky.reach == Reach::All) {
                layer.training &= !sticky.statistics;
                layer.weight &= !sticky.affine;
                layer.bias &= !sticky.affine;
            }
        }
    }

    fn unfreeze(&mut self, at: &str, what: Frozen, reach: Reach) {
        for sticky in self.sticky.iter_mut().filter(|sticky| sticky.at == at) {
            sticky.statistics &= !what.statistics();
            sticky.affine &= !what.affine();
        }
        self.sticky.retain(|sticky| sticky.statistics || sticky.affine);
        let reached: Vec<usize> =
            (0..self.layers.len()).filter(|&layer| reaches(reach, at, &self.layers[layer].path)).collect();
        for layer in reached {
            if what.affine() {
                (self.layers[layer].weight, self.layers[layer].bias) = (true, true);
            }
            if what.statistics() {
                let path = self.layers[layer].path.clone();
                self.train(&path, true);
            }
        }
    }
}

fn reaches(reach: Reach, at: &str, path: &str) -> bool {
    match reach {
        Reach::All => is_within(at, path),
        Reach::Children => is_child(at, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: [&str; 3] = ["stem", "block.inner", "block.deep.last"];

    fn after(actions: &[Action]) -> Vec<bool> {
        let mut modes = Modes::new(MODEL);
        for action in actions {
            modes.apply(action);
        }
        modes.layers().iter().map(|layer| layer.training).collect()
    }

    fn train(at: &str) -> Action {
        Action::Train { at: at.to_owned() }
    }

    fn freeze(at: &str, reach: Reach, sticky: bool) -> Action {
        Action::Freeze { at: at.to_owned(), what: Frozen::Both, reach, sticky }
    }

    #[test]
    fn direct_children_are_those_that_the_part_holds_itself() {
        assert_eq!(after(&[freeze("", Reach::All, false)]), [false, false, false]);
        assert_eq!(after(&[freeze("", Reach::Children, false)]), [false, true, true]);
        assert_eq!(after(&[freeze("block", Reach::Children, false)]), [true, false, true]);
        // The layer itself is no child of its own.
        assert_eq!(after(&[freeze("stem", Reach::Children, false)]), [true, true, true]);
        assert_eq!(after(&[freeze("stem", Reach::All, false)]), [false, true, true]);
    }

    #[test]
    fn train_wakes_what_is_frozen_unless_it_is_overridden_where_it_is_called() {
        assert_eq!(after(&[freeze("", Reach::All, false), train("")]), [true, true, true]);
        assert_eq!(after(&[freeze("block", Reach::All, true), train("")]), [true, false, false]);
        // The inner part's own train() knows nothing of an override above it.
        assert_eq!(after(&[freeze("", Reach::All, true), train("block")]), [false, true, true]);
        assert_eq!(after(&[freeze("", Reach::All, true), train("")]), [false, false, false]);
    }

    #[test]
    fn freezing_calls_the_layers_own_eval_which_may_be_overridden() {
        let mut modes = Modes::new(MODEL);
        let what = Frozen::Affine;
        modes.apply::<()>(&Action::Freeze { at: "stem".to_owned(), what, reach: Reach::All, sticky: true });
        modes.apply::<()>(&Action::RequiresGrad { at: String::new(), weight: Some(true), bias: None });
        let what = Frozen::Statistics;
        modes.apply::<()>(&Action::Freeze { at: String::new(), what, reach: Reach::All, sticky: false });
        let weights: Vec<bool> = modes.layers().iter().map(|layer| layer.weight).collect();
        assert_eq!(weights, [false, true, true]);
    }

    #[test]
    fn unfreezing_takes_the_override_away() {
        let unfreeze = |what| -> Action { Action::Unfreeze { at: String::new(), what, reach: Reach::All } };
        let mut modes = Modes::new(MODEL);
        modes.apply(&freeze("", Reach::All, true));
        modes.apply(&unfreeze(Frozen::Statistics));
        modes.apply(&train(""));
        assert!(modes.layers().iter().all(|layer| layer.training && !layer.weight && !layer.bias));
        modes.apply(&unfreeze(Frozen::Affine));
        modes.apply(&train(""));
        assert!(modes.layers().iter().all(|layer| layer.training && layer.weight && layer.bias));
    }
}
