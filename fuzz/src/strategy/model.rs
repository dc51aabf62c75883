//! Models of a few layers.

use bn_cases::DType;
use bn_cases::case::{Layer, LayerKind};
use bn_cases::format::{LayerSpec, ModelNode};
use proptest::prelude::*;

use super::layer::{self, LayerPlan};
use super::types::{self, LayerTypes};

/// The layers of a model, each with its name.
#[derive(Debug, Clone)]
pub struct ModelPlan(Vec<(&'static str, LeafPlan)>);

/// A layer of a model.
#[derive(Debug, Clone)]
struct LeafPlan {
    /// How many parts it lies within.
    depth: usize,
    /// The layer, where it is not what all have in common.
    own: Option<(LayerPlan, LayerTypes)>,
}

/// What a case is about: one layer, or several and what holds them.
pub struct Model {
    /// The parts; nothing where there is one layer and no model.
    pub nodes: Option<Vec<ModelNode>>,
    /// The layers, in the order in which a forward runs them.
    pub layers: Vec<Layer>,
    /// The paths that a step can speak to.
    pub parts: Vec<String>,
}

/// The parts that a layer may lie within, from the outside in.
const HOLDERS: [&str; 2] = ["block", "deep"];

/// One layer, or a model of two or three.
pub fn plan() -> BoxedStrategy<Option<ModelPlan>> {
    let own = (layer::in_a_model(), types::layer()).prop_map(Some);
    let leaf = || {
        let depth = prop_oneof![2 => Just(0), 2 => Just(1), 1 => Just(HOLDERS.len())];
        let own = prop_oneof![1 => Just(None), 4 => own.clone()];
        (depth, own).prop_map(|(depth, own)| LeafPlan { depth, own })
    };
    let leaves = prop::collection::vec(leaf(), 2..=3);
    let model = leaves.prop_map(|leaves| Some(ModelPlan(["a", "b", "c"].into_iter().zip(leaves).collect())));
    prop_oneof![3 => Just(None), 1 => model].boxed()
}

impl Model {
    /// The model that a plan makes of the case's layer. `rank` is that of the input.
    pub fn fit(
        plan: Option<&ModelPlan>,
        common: &LayerSpec,
        features: usize,
        dtype: DType,
        rank: usize,
    ) -> Self {
        let nodes = plan.map(|plan| plan.nodes(common, features, dtype));
        let mut model = Model { nodes: None, layers: Vec::new(), parts: Vec::new() };
        let mut found = Vec::new();
        match &nodes {
            None => found.push((String::new(), common.clone())),
            Some(nodes) => walk("", nodes, common, &mut found, &mut model.parts),
        }
        let layer = |(path, spec): (String, LayerSpec)| {
            let parameters = spec.dtype.unwrap_or(dtype);
            let statistics_dtype = spec.statistics_dtype.unwrap_or(parameters);
            let kind = LayerKind::for_rank(rank).unwrap_or(LayerKind::BatchNorm1d);
            Layer { path, spec, kind, features, dtype: parameters, statistics_dtype }
        };
        model.layers = found.into_iter().map(layer).collect();
        model.nodes = nodes;
        model
    }
}

impl ModelPlan {
    fn nodes(&self, common: &LayerSpec, features: usize, dtype: DType) -> Vec<ModelNode> {
        let mut nodes = Vec::new();
        for (name, LeafPlan { depth, own }) in &self.0 {
            let layer = own.as_ref().map(|(plan, types)| {
                let parameters = types.parameters.or(common.dtype);
                let statistics = types.statistics.or(common.statistics_dtype);
                plan.fit(features, dtype, LayerTypes { parameters, statistics })
            });
            let leaf = ModelNode { name: (*name).to_owned(), layer, children: None };
            put(&mut nodes, &HOLDERS[..*depth], leaf);
        }
        nodes
    }
}

/// Puts a part into what holds it, which is made where it is not there yet.
fn put(nodes: &mut Vec<ModelNode>, holders: &[&str], part: ModelNode) {
    let [first, rest @ ..] = holders else {
        nodes.push(part);
        return;
    };
    let place = nodes.iter().position(|node| node.name == *first).unwrap_or_else(|| {
        nodes.push(ModelNode { name: (*first).to_owned(), layer: None, children: Some(Vec::new()) });
        nodes.len() - 1
    });
    put(nodes[place].children.get_or_insert_default(), rest, part);
}

fn walk(
    path: &str,
    nodes: &[ModelNode],
    common: &LayerSpec,
    layers: &mut Vec<(String, LayerSpec)>,
    parts: &mut Vec<String>,
) {
    for node in nodes {
        let path = if path.is_empty() { node.name.clone() } else { format!("{path}.{}", node.name) };
        parts.push(path.clone());
        match &node.children {
            Some(children) => walk(&path, children, common, layers, parts),
            None => layers.push((path, node.layer.as_ref().unwrap_or(common).clone())),
        }
    }
}
