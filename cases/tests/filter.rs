//! The filter grammar: which terms choose which cases, and what is said about a term that is none.

use bn_cases::{Case, Filter, Suite};

fn example() -> Suite {
    let text = "
suite: pitfalls/momentum
defaults: {input: {shape: [4, 3]}, mode: train}
cases:
  - name: three-batches
    matrix:
      layer.momentum: [null, 0.1, 1e-1, 1]
      dtype: [f16, f32]
  - name: plain
    layer: {eps: 1e-3}
  - name: sizes
    matrix: {input.shape.0: [2, 8], input.fill: {wide: {normal: {std: 9}}, narrow: {normal: {std: 1e-3}}}}
";
    bn_cases::load_str("suite.yaml", text).unwrap_or_else(|problems| panic!("{:#?}", problems.problems))
}

/// The ids that a filter takes, without the suite's name.
fn chosen(terms: &[&str]) -> Vec<String> {
    let suite = example();
    let cases: Vec<&Case> = suite.cases.iter().collect();
    let filter = Filter::parse(terms.iter().copied(), &cases).expect("a filter");
    let ids = cases.iter().filter(|case| filter.matches(case)).map(|case| &case.id);
    ids.map(|id| id.trim_start_matches("pitfalls/momentum/").to_owned()).collect()
}

fn refused(term: &str) -> String {
    let suite = example();
    let cases: Vec<&Case> = suite.cases.iter().collect();
    Filter::parse([term], &cases).expect_err("not a filter").to_string()
}

#[test]
fn no_term_takes_everything() {
    assert_eq!(chosen(&[]).len(), 13);
    assert!(Filter::default().is_empty());
    assert_eq!(chosen(&["*"]).len(), 13);
}

#[test]
fn ids_name_their_axes() {
    assert_eq!(
        chosen(&["sizes"]),
        [
            "sizes[shape.0=2,fill=wide]",
            "sizes[shape.0=2,fill=narrow]",
            "sizes[shape.0=8,fill=wide]",
            "sizes[shape.0=8,fill=narrow]"
        ]
    );
}

#[test]
fn a_text_is_looked_for_anywhere_in_the_id() {
    assert_eq!(chosen(&["batches"]).len(), 8);
    assert_eq!(chosen(&["momentum"]).len(), 13, "the suite's name is part of the id");
    assert_eq!(chosen(&["nowhere"]).len(), 0);
}

#[test]
fn a_pattern_covers_the_whole_id() {
    assert_eq!(chosen(&["pitfalls/*"]).len(), 13);
    assert_eq!(chosen(&["batches*"]).len(), 0);
    assert_eq!(chosen(&["*/plain"]), ["plain"]);
    assert_eq!(chosen(&["*dtype=f?2]"]).len(), 4);
}

#[test]
fn an_id_is_a_filter_that_takes_itself_alone() {
    for case in example().cases {
        let id = case.id.trim_start_matches("pitfalls/momentum/");
        assert_eq!(chosen(&[&case.id]), [id], "{}", case.id);
    }
}

#[test]
fn of_several_ids_one_is_enough() {
    assert_eq!(
        chosen(&["plain", "*wide]"]),
        ["plain", "sizes[shape.0=2,fill=wide]", "sizes[shape.0=8,fill=wide]"]
    );
}

#[test]
fn of_several_fields_all_must_match() {
    assert_eq!(chosen(&["dtype=f16", "momentum=1"]), ["three-batches[momentum=1,dtype=f16]"]);
    assert_eq!(chosen(&["three", "dtype=f16", "momentum=1"]), ["three-batches[momentum=1,dtype=f16]"]);
}

#[test]
fn a_field_is_an_axis_or_a_path_of_the_format() {
    assert_eq!(chosen(&["momentum=null"]).len(), 2);
    assert_eq!(chosen(&["layer.momentum=null"]).len(), 2);
    assert_eq!(chosen(&["fill=wide"]).len(), 2);
    assert_eq!(chosen(&["shape.0=8"]).len(), 2);
    assert_eq!(chosen(&["input.shape.0=8"]).len(), 2);
    assert_eq!(chosen(&["name=plain"]), ["plain"]);
    assert_eq!(chosen(&["suite=pitfalls/*"]).len(), 13);
}

#[test]
fn a_field_that_is_left_out_has_its_default() {
    assert_eq!(chosen(&["dtype=f32"]).len(), 9, "f32 where nothing is written");
    assert_eq!(chosen(&["layer.eps=1e-5"]).len(), 12);
    assert_eq!(chosen(&["layer.affine=true"]).len(), 13);
    assert_eq!(chosen(&["layer.features=3"]).len(), 13, "from the shape");
}

#[test]
fn numbers_are_compared_as_numbers() {
    assert_eq!(chosen(&["layer.momentum=0.1", "three"]).len(), 4, "0.1 and 1e-1");
    assert_eq!(chosen(&["layer.eps=0.001"]), ["plain"]);
    assert_eq!(chosen(&["layer.momentum=1.0"]).len(), 2);
}

#[test]
fn commas_separate_values_of_which_one_must_match() {
    assert_eq!(chosen(&["momentum=null,1"]).len(), 4);
    assert_eq!(chosen(&["dtype=f*"]).len(), 13);
}

#[test]
fn exclamation_marks_leave_out() {
    assert_eq!(chosen(&["!three"]).len(), 5);
    assert_eq!(chosen(&["!three", "!*wide]", "!plain"]).len(), 2);
    assert_eq!(chosen(&["layer.momentum!=null", "three"]).len(), 6);
    assert_eq!(chosen(&["dtype!=f16,f64", "three"]).len(), 4);
}

#[test]
fn models_layouts_and_tiers_are_fields_too() {
    let text = "
suite: s
defaults: {input: {shape: [4, 3, 2, 2]}, mode: train}
cases:
  - name: plain
  - name: pair
    model: [{name: first}, {name: second}]
    layer: {statistics_dtype: f64}
  - name: windows
    tier: full
    steps: [forward, {forward: {input: {layout: sliced, dtype: f16}}}]
  - name: half
    input: {dtype: f16, layout: channels_last}
";
    let suite =
        bn_cases::load_str("suite.yaml", text).unwrap_or_else(|problems| panic!("{:#?}", problems.problems));
    let cases: Vec<&Case> = suite.cases.iter().collect();
    let chosen = |term| {
        let filter = Filter::parse([term], &cases).expect("a filter");
        cases.iter().filter(|case| filter.matches(case)).map(|case| &*case.name).collect::<Vec<_>>()
    };
    assert_eq!(chosen("layers=2"), ["pair"]);
    assert_eq!(chosen("layers=1"), ["plain", "windows", "half"]);
    assert_eq!(chosen("tier=full"), ["windows"]);
    assert_eq!(chosen("tier=quick"), ["plain", "pair", "half"]);
    assert_eq!(chosen("layer.statistics_dtype=f64"), ["pair"]);
    assert_eq!(chosen("input.dtype=f16"), ["half"]);
    assert_eq!(chosen("layouts=*sliced*"), ["windows"]);
    assert_eq!(chosen("layouts=channels_last*"), ["half"]);
}

#[test]
fn what_is_no_filter_is_refused_with_a_reason() {
    assert_eq!(
        refused("dtpye=f32"),
        "unknown field `dtpye` in the filter `dtpye=f32`: did you mean `dtype`?"
    );
    assert_eq!(
        refused("layer.momentun=1"),
        "unknown field `layer.momentun` in the filter `layer.momentun=1`: did you mean `momentum`?"
    );
    assert_eq!(refused("colour=red"), "unknown field `colour` in the filter `colour=red`");
    for term in ["", "!", "=f32", "dtype=", "dtype=f32,", "!=f32"] {
        let reason = format!(
            "the filter `{term}` is incomplete: write PATTERN, !PATTERN, FIELD=VALUE or FIELD!=VALUE"
        );
        assert_eq!(refused(term), reason);
    }
}
