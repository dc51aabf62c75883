//! Writes a case as the YAML suite that [`bn_cases::load_str`] reads back as the same case.

use std::fmt::Write as _;

use bn_cases::Case;
use bn_cases::case::Layout;
use bn_cases::format::{CaseSpec, Expectation, InputSpec, LayerSpec, Mode, ModelNode, Tier};

mod fill;
mod layer;
pub mod python;
mod request;
mod step;

use fill::fill;
use layer::layer;
pub use request::{of_request, suite_of_request};
use step::step;

/// The name of the one case of a rendered suite.
pub const CASE: &str = "found";

/// A suite of one case. `suite` is its name; what reads as the same when it is left out is left out.
pub fn suite(suite: &str, spec: &CaseSpec) -> String {
    written(suite, CASE, spec)
}

/// The case of a suite of one, as it is read back.
///
/// # Errors
/// What the reader refuses, and when it finds more cases, or none.
pub fn read_back(path: &str, text: &str) -> Result<Case, String> {
    let suite =
        bn_cases::load_str(path, text).map_err(|problems| format!("the case does not load: {problems:?}"))?;
    let [case] = <[Case; 1]>::try_from(suite.cases)
        .map_err(|cases| format!("one case was written, {} were read", cases.len()))?;
    Ok(case)
}

/// The same, where the case has a name of its own.
pub fn named(suite: &str, name: &str, spec: &CaseSpec) -> String {
    written(suite, &quoted(name), spec)
}

/// The same, where `name` is the case's as it is written.
fn written(suite: &str, name: &str, spec: &CaseSpec) -> String {
    let mut text = format!("suite: {suite}\ncases:\n  - name: {name}\n");
    let mut line = |key: &str, value: String| {
        let gap = if value.starts_with('\n') { "" } else { " " };
        let _ = writeln!(text, "    {key}:{gap}{value}");
    };
    if let Some(about) = &spec.about {
        line("about", quoted(about));
    }
    if spec.tier != Tier::default() {
        line("tier", spec.tier.name().to_owned());
    }
    if spec.seed != 0 {
        line("seed", spec.seed.to_string());
    }
    line("dtype", spec.dtype.to_string());
    line("layer", layer(&spec.layer, &LayerSpec::default()));
    if let Some(model) = &spec.model {
        line("model", each(model.iter().map(|part| format!("\n      - {}", node(part, &spec.layer)))));
    }
    line("input", input(&spec.input));
    if let Some(grad) = &spec.grad {
        line("grad", fill(grad));
    }
    if let Some(mode) = spec.mode {
        let mode = match mode {
            Mode::Train => "train",
            Mode::Eval => "eval",
        };
        line("mode", mode.to_owned());
    }
    if let Some(steps) = &spec.steps {
        line("steps", each(steps.iter().map(|it| format!("\n      - {}", step(it)))));
    }
    if !spec.expect.is_empty() {
        line("expect", each(spec.expect.iter().map(|known| format!("\n      - {}", expectation(known)))));
    }
    text
}

/// A number in the shorter of its two exact forms.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let (plain, scientific) = (format!("{value:?}"), format!("{value:e}"));
    let plain = plain.strip_suffix(".0").filter(|_| value != 0.0).unwrap_or(&plain).to_owned();
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// A part of a model. A layer's fields are those in which it differs from what all have in common.
fn node(part: &ModelNode, common: &LayerSpec) -> String {
    let mut fields = Fields::default();
    fields.add("name", &part.name);
    fields.maybe("layer", part.layer.as_ref().map(|own| layer(own, common)));
    let children = part.children.as_ref();
    fields.maybe("children", children.map(|children| list(children.iter().map(|child| node(child, common)))));
    fields.braced()
}

fn input(input: &InputSpec) -> String {
    let mut fields = Fields::default();
    fields.maybe("shape", input.shape.as_ref().map(|shape| format!("{shape:?}")));
    fields.maybe("fill", input.fill.as_ref().map(fill));
    fields.maybe("dtype", input.dtype);
    fields.maybe("layout", input.layout.map(Layout::name));
    fields.maybe("requires_grad", input.requires_grad);
    fields.braced()
}

fn expectation(known: &Expectation) -> String {
    let mut fields = Fields::default();
    fields.add("step", known.step);
    fields.maybe("layer", known.layer.as_ref());
    fields.maybe("tensor", known.tensor);
    fields.maybe("values", known.values.as_ref().map(|values| list(values.iter().map(|value| &value.0))));
    if known.within != 0.0 {
        fields.add("within", number(known.within));
    }
    fields.maybe("error", known.error);
    fields.maybe("source", known.source.as_ref().map(|source| quoted(source)));
    fields.braced()
}

/// Text in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// A number, or `null` where there is none.
fn nullable<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "null".to_owned(), write)
}

/// A sequence on one line.
fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// Lines one after the other; an empty sequence where there are none.
fn each(lines: impl Iterator<Item = String>) -> String {
    let lines: String = lines.collect();
    if lines.is_empty() { "[]".to_owned() } else { lines }
}

/// A mapping on one line, as it is put together.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn add(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push(format!("{key}: {value}"));
    }

    fn maybe(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    fn braced(&self) -> String {
        format!("{{{}}}", self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bn_cases::case::{Frozen, LayerKind, Part, Reach};
    use bn_cases::format::{Fill, LoadSpec, SetSpec, Step};
    use bn_cases::yaml::Literal;
    use bn_cases::{DType, ErrorClass, Observable};

    use super::*;

    fn base() -> CaseSpec {
        CaseSpec {
            about: None,
            tier: Tier::Quick,
            layer: LayerSpec::default(),
            model: None,
            dtype: DType::F32,
            input: InputSpec { shape: Some(vec![4, 2, 1, 1]), ..InputSpec::default() },
            grad: None,
            mode: Some(Mode::Eval),
            steps: None,
            seed: 0,
            expect: Vec::new(),
        }
    }

    #[track_caller]
    fn comes_back(spec: &CaseSpec) {
        let text = suite("written", spec);
        let read = bn_cases::load_str("written.yaml", &text).unwrap_or_else(|why| panic!("{why:?}\n{text}"));
        assert_eq!(read.cases[0].spec(), *spec, "{text}");
    }

    #[test]
    fn words_and_what_is_known_come_back() {
        let known = Expectation {
            step: 2,
            layer: None,
            tensor: Some(Observable::RunningVar),
            values: Some(vec![Literal("1.5".to_owned()), Literal("0x1p-3".to_owned())]),
            within: 0.5,
            error: None,
            source: Some("a \"book\": page 7, #1".to_owned()),
        };
        let about = Some("one: \"two\" \\ three\nfour".to_owned());
        comes_back(&CaseSpec { about, tier: Tier::Full, seed: 7, expect: vec![known], ..base() });
    }

    #[test]
    fn a_layer_of_a_model_differs_from_what_all_have_in_common_in_every_field() {
        let common = LayerSpec {
            kind: Some(LayerKind::BatchNorm2d),
            features: Some(2),
            eps: 0.5,
            momentum: None,
            dtype: Some(DType::F64),
            statistics_dtype: Some(DType::F32),
            weight: Some(Fill::Constant(2.0)),
            bias: Some(Fill::Constant(2.0)),
            running_mean: Some(Fill::Constant(2.0)),
            running_var: Some(Fill::Constant(2.0)),
            num_batches_tracked: Some(3),
            ..LayerSpec::default()
        };
        let part = |name: &str, layer| ModelNode { name: name.to_owned(), layer, children: None };
        let bare = LayerSpec { affine: false, track_running_stats: false, ..LayerSpec::default() };
        let inner = vec![part("like-all", None), part("the-same", Some(common.clone()))];
        let block = ModelNode { name: "block".to_owned(), layer: None, children: Some(inner) };
        let model = vec![part("default", Some(LayerSpec::default())), block, part("bare", Some(bare))];
        comes_back(&CaseSpec { layer: common, model: Some(model), ..base() });
    }

    #[test]
    fn every_step_comes_back() {
        let at = || Some("block".to_owned());
        let part = |name: &str| ModelNode { name: name.to_owned(), layer: None, children: None };
        let block = ModelNode { children: Some(vec![part("inner")]), ..part("block") };
        let fill = || Fill::Constant(2.0);
        let input = InputSpec {
            shape: Some(vec![3, 2, 2, 2]),
            fill: Some(fill()),
            dtype: Some(DType::F16),
            layout: Some(Layout::ChannelsLast),
            requires_grad: Some(false),
        };
        let entries = BTreeMap::from([("inner.weight".to_owned(), fill()), ("extra".to_owned(), fill())]);
        let (from, without) = (Some("first".to_owned()), vec!["inner.bias".to_owned()]);
        let away = SetSpec {
            at: at(),
            momentum: Some(None),
            weight: Some(None),
            bias: Some(None),
            running_mean: Some(None),
            running_var: Some(None),
            num_batches_tracked: Some(None),
            ..SetSpec::default()
        };
        let new = SetSpec {
            momentum: Some(Some(0.5)),
            eps: Some(1e-3),
            track_running_stats: Some(true),
            weight: Some(Some(fill())),
            bias: Some(Some(fill())),
            running_mean: Some(Some(fill())),
            running_var: Some(Some(fill())),
            num_batches_tracked: Some(Some(5)),
            ..SetSpec::default()
        };
        let mut steps = vec![
            Step::Forward { at: None, no_grad: false, input: None },
            Step::Forward { at: at(), no_grad: true, input: Some(input) },
            Step::Backward { grad: None, layout: Layout::Contiguous },
            Step::Backward { grad: Some(fill()), layout: Layout::Permuted },
            Step::RequiresGrad { at: at(), weight: Some(true), bias: Some(false) },
            Step::SaveState { at: at(), name: "first".to_owned() },
            Step::LoadState(Box::new(LoadSpec {
                at: at(),
                from,
                entries,
                without,
                version: 1,
                strict: false,
            })),
            Step::LoadState(Box::new(LoadSpec { from: Some("first".to_owned()), ..LoadSpec::default() })),
            Step::Set(Box::new(away)),
            Step::Set(Box::new(new)),
            Step::Sgd { at: at(), lr: 0.25 },
            Step::Sgd { at: None, lr: 0.1 },
        ];
        for at in [None, at()] {
            steps.push(Step::Train { at: at.clone() });
            steps.push(Step::Eval { at: at.clone() });
            steps.push(Step::ZeroGrad { at: at.clone() });
            steps.push(Step::ResetRunningStats { at: at.clone() });
            for what in [Frozen::Statistics, Frozen::Affine, Frozen::Both] {
                for reach in [Reach::All, Reach::Children] {
                    let sticky = what == Frozen::Both;
                    steps.push(Step::Freeze { at: at.clone(), what, reach, sticky });
                    steps.push(Step::Unfreeze { at: at.clone(), what, reach });
                }
            }
            let parts = [Part::Layer, Part::Parameters, Part::Statistics, Part::Weight, Part::Bias];
            for (what, to) in parts
                .into_iter()
                .chain([Part::RunningMean, Part::RunningVar])
                .zip(DType::FLOATS.iter().cycle())
            {
                steps.push(Step::Cast { at: at.clone(), to: *to, what });
            }
        }
        let refused = Expectation {
            step: 1,
            layer: None,
            tensor: None,
            values: None,
            within: 0.0,
            error: Some(ErrorClass::WrongRank),
            source: None,
        };
        let (model, expect) = (Some(vec![part("stem"), block]), vec![refused]);
        comes_back(&CaseSpec { model, mode: None, steps: Some(steps), expect, ..base() });
    }
}
