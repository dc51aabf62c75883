//! Layers.

use bn_cases::format::{Fill, LayerSpec};

use super::{Fields, fill, nullable, number};

/// A layer's fields, as far as they differ from those of `base`, which it is laid over.
pub(super) fn layer(layer: &LayerSpec, base: &LayerSpec) -> String {
    let mut fields = Fields::default();
    let mut field = |key: &str, differs: bool, value: String| {
        if differs {
            fields.add(key, value);
        }
    };
    field("kind", layer.kind != base.kind, nullable(layer.kind, |kind| format!("{kind:?}")));
    field(
        "features",
        layer.features != base.features,
        nullable(layer.features, |features| features.to_string()),
    );
    field("eps", layer.eps != base.eps, number(layer.eps));
    field("momentum", layer.momentum != base.momentum, nullable(layer.momentum, number));
    field("affine", layer.affine != base.affine, layer.affine.to_string());
    let track = layer.track_running_stats;
    field("track_running_stats", track != base.track_running_stats, track.to_string());
    field("dtype", layer.dtype != base.dtype, nullable(layer.dtype, |dtype| dtype.to_string()));
    let statistics = layer.statistics_dtype;
    let written = nullable(statistics, |dtype| dtype.to_string());
    field("statistics_dtype", statistics != base.statistics_dtype, written);
    for ((key, content), (_, other)) in contents(layer).into_iter().zip(contents(base)) {
        field(key, content != other, nullable(content.as_ref(), fill));
    }
    let count = layer.num_batches_tracked;
    field(
        "num_batches_tracked",
        count != base.num_batches_tracked,
        nullable(count, |count| count.to_string()),
    );
    fields.braced()
}

fn contents(layer: &LayerSpec) -> [(&'static str, &Option<Fill>); 4] {
    [
        ("weight", &layer.weight),
        ("bias", &layer.bias),
        ("running_mean", &layer.running_mean),
        ("running_var", &layer.running_var),
    ]
}
