//! Layers: how they are constructed, and how they are called.

use std::fmt::Write as _;

use bn_api::{LayerConfig, Slot};

use super::tensors::{dtype, tensor};
use super::text::{float, indented, is_name, quoted, truth};

/// The layers of a case: one, or a tree of them.
pub(super) struct Layers<'r>(pub(super) &'r [LayerConfig]);

impl Layers<'_> {
    /// Whether it is one layer and no model.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.0, [layer] if layer.path.is_empty())
    }

    /// The part at a path.
    pub(super) fn part(&self, path: &str) -> String {
        match path {
            "" if self.is_single() => "bn".to_owned(),
            "" => "model".to_owned(),
            path if path.split('.').all(is_name) => format!("model.{path}"),
            path => format!("model.get_submodule({})", quoted(path)),
        }
    }

    /// The lines that construct them, and fill what the case gives contents.
    pub(super) fn made(&self) -> String {
        let mut lines = if self.is_single() {
            let layer = format!("bn = {}\n", constructor(&self.0[0]));
            layer + "layers = {\"\": bn}\n"
        } else {
            let paths = self.0.iter().map(|layer| (layer.path.as_str(), constructor(layer))).collect();
            let mut all = String::new();
            for layer in self.0 {
                let _ = writeln!(all, "    {}: {},", quoted(&layer.path), self.part(&layer.path));
            }
            format!("model = {}\nlayers = {{\n{all}}}\n", sequential(paths))
        };
        for layer in self.0 {
            lines += &contents(&self.part(&layer.path), layer);
        }
        lines
    }
}

/// Layers by the rest of their paths, one after the other: those with the same first name are in a part of that name.
fn sequential(layers: Vec<(&str, String)>) -> String {
    let mut children: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    for (path, layer) in layers {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match children.iter_mut().find(|(known, _)| *known == name) {
            Some((_, inner)) => inner.push((rest, layer)),
            None => children.push((name, vec![(rest, layer)])),
        }
    }
    let mut lines = String::new();
    for (name, mut inner) in children {
        let part = match inner.as_mut_slice() {
            [("", layer)] => std::mem::take(layer),
            _ => sequential(inner),
        };
        let _ = writeln!(lines, "({}, {part}),", quoted(name));
    }
    format!("torch.nn.Sequential(OrderedDict([\n{}]))", indented(&lines))
}

/// A call of the constructor, with what is not its default.
fn constructor(layer: &LayerConfig) -> String {
    let usual = LayerConfig::new(layer.kind, layer.features, bn_api::DType::F32);
    let mut arguments = vec![layer.features.to_string()];
    let mut say = |name: &str, differs: bool, value: String| {
        if differs {
            arguments.push(format!("{name}={value}"));
        }
    };
    say("eps", layer.eps.to_bits() != usual.eps.to_bits(), float(layer.eps));
    let momentum = layer.momentum.map_or_else(|| "None".to_owned(), float);
    say("momentum", layer.momentum != usual.momentum, momentum);
    say("affine", !layer.affine, truth(layer.affine).to_owned());
    say("track_running_stats", !layer.track_running_stats, truth(layer.track_running_stats).to_owned());
    say("dtype", layer.dtype != usual.dtype, dtype(layer.dtype).to_owned());
    format!("torch.nn.{:?}({})", layer.kind, arguments.join(", "))
}

/// The lines that give a new layer its types and contents.
fn contents(expression: &str, layer: &LayerConfig) -> String {
    let mut lines = String::new();
    if layer.track_running_stats && layer.statistics_dtype != layer.dtype {
        for slot in [Slot::RunningMean, Slot::RunningVar] {
            let (name, to) = (slot.name(), dtype(layer.statistics_dtype));
            let _ = writeln!(lines, "{expression}.{name} = {expression}.{name}.to({to})");
        }
    }
    let mut fills = String::new();
    for slot in Slot::ALL {
        if let Some(value) = layer.contents(slot) {
            let _ = writeln!(fills, "{expression}.{}.copy_({})", slot.name(), tensor(value));
        }
    }
    if let Some(count) = layer.num_batches_tracked.filter(|_| layer.track_running_stats) {
        let _ = writeln!(fills, "{expression}.num_batches_tracked.fill_({count})");
    }
    if !fills.is_empty() {
        let _ = write!(lines, "with torch.no_grad():\n{}", indented(&fills));
    }
    lines
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, LayerKind};

    use super::*;

    fn layer(path: &str) -> LayerConfig {
        LayerConfig { path: path.to_owned(), ..LayerConfig::new(LayerKind::BatchNorm2d, 3, DType::F32) }
    }

    #[test]
    fn only_what_is_not_the_default_is_said() {
        assert_eq!(constructor(&layer("")), "torch.nn.BatchNorm2d(3)");
        let odd = LayerConfig {
            eps: 1e-3,
            momentum: None,
            affine: false,
            track_running_stats: false,
            dtype: DType::Bf16,
            ..layer("")
        };
        assert_eq!(
            constructor(&odd),
            "torch.nn.BatchNorm2d(3, eps=0.001, momentum=None, affine=False, track_running_stats=False, \
             dtype=torch.bfloat16)"
        );
    }

    #[test]
    fn a_tree_is_built_in_the_order_of_a_forward() {
        let layers = [layer("a"), layer("block.like-all"), layer("block.in.b"), layer("z")];
        let layers = Layers(&layers);
        let made = layers.made();
        assert!(
            made.starts_with(
                "\
model = torch.nn.Sequential(OrderedDict([
    (\"a\", torch.nn.BatchNorm2d(3)),
    (\"block\", torch.nn.Sequential(OrderedDict([
        (\"like-all\", torch.nn.BatchNorm2d(3)),
        (\"in\", torch.nn.Sequential(OrderedDict([
            (\"b\", torch.nn.BatchNorm2d(3)),
        ]))),
    ]))),
    (\"z\", torch.nn.BatchNorm2d(3)),
]))
"
            ),
            "{made}"
        );
        assert!(made.contains("    \"block.in.b\": model.get_submodule(\"block.in.b\"),\n"), "{made}");
        assert_eq!([layers.part(""), layers.part("a")], ["model", "model.a"]);
    }
}
