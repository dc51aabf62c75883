//! Suites: one file each, and folders of them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use crate::case::{Action, Case, Layer, Place, Published, Story};
use crate::expand::{Expansion, NAME_HELP, expand, is_name, leads_through};
use crate::format::CaseSpec;
use crate::problem::{MAX_PROBLEMS, Problem, Problems, Source, Span, did_you_mean, is_enough};
use crate::recent::Recent;
use crate::resolve::resolve;
use crate::variant::{REPLACED_WHOLE, Template, Variant};
use crate::written::{self, Written};
use crate::yaml::{Kind, Node, decode, parse, read_source};

/// The most cases of a file, expanded.
pub const MAX_CASES: usize = 100_000;

/// The most values of all cases of a file, each case of its matrix counted with all its fields.
pub const MAX_VALUES: usize = 10_000_000;

/// The keys of a suite file.
const KEYS: [&str; 5] = ["suite", "about", "story", "defaults", "cases"];

/// The cases of one file.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The suite's name.
    pub name: Arc<str>,
    /// What it shows.
    pub about: Option<Arc<str>>,
    /// The story it tells, where it tells one.
    pub story: Option<Arc<Story>>,
    /// Its cases, expanded, in the order of the file.
    pub cases: Vec<Case>,
}

/// Reads suites from files, and from folders with everything below them that ends in `.yaml` or `.yml`, in
/// the order of their paths.
///
/// # Errors
/// Everything that is wrong with any of the files, at once.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Suite>, Problems> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        find_files(path, true, &mut files, &mut problems);
    }
    files.sort();
    files.dedup();
    let mut suites = Vec::new();
    for (suite, found) in read_all(&files) {
        suites.extend(suite);
        problems.extend(found);
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for suite in &suites {
        *names.entry(&suite.name).or_default() += 1;
    }
    // Ids begin with the suite's name, and within a suite no name is given twice.
    let shared = suites.iter().filter(|suite| names[&*suite.name] > 1);
    let mut known: HashMap<&str, &Place> = HashMap::new();
    for case in shared.flat_map(|suite| &suite.cases) {
        if let Some(first) = known.insert(&case.id, &case.place)
            && first.file != case.place.file
        {
            let Place { file, line } = &case.place;
            let message =
                format!("{file}:{line}: the case `{}` is already in {}:{}", case.id, first.file, first.line);
            problems.push(Problem::new(message).with_help("give one of the suites another name"));
        }
    }
    match Problems::of_cases(problems) {
        Some(problems) => Err(problems),
        None => Ok(suites),
    }
}

/// Reads a suite from a text; `path` is for messages and [`Place`].
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_str(path: &str, text: &str) -> Result<Suite, Problems> {
    let mut problems = Vec::new();
    let suite = parse_suite(&Source::new(path, text), &mut problems);
    match (suite, Problems::of_cases(problems)) {
        (Some(suite), None) => Ok(suite),
        (_, Some(problems)) => Err(problems),
        (None, None) => unreachable!("a suite that cannot be read has a problem"),
    }
}

/// Reads files, several at a time. Of each, in their order, its suite and what is wrong with it.
fn read_all(files: &[PathBuf]) -> Vec<(Option<Suite>, Vec<Problem>)> {
    // The largest first, so that none is begun when the others are nearly done.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&number| Reverse(std::fs::metadata(&files[number]).map_or(0, |file| file.len())));
    let next = AtomicUsize::new(0);
    let read_some = || {
        let mut some = Vec::new();
        loop {
            let Some(&number) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return some };
            some.push((number, read(&files[number])));
        }
    };
    let threads = available_parallelism().map_or(1, NonZero::get).min(files.len());
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(read_some)).collect();
        let own = read_some();
        let others =
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        others.flatten().chain(own).collect()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, read)| read).collect()
}

fn read(file: &Path) -> (Option<Suite>, Vec<Problem>) {
    let mut problems = Vec::new();
    let suite = match read_source(file) {
        Ok(source) => parse_suite(&source, &mut problems),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    (suite, problems)
}

fn find_files(path: &Path, named: bool, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    if !path.is_dir() {
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if named || is_yaml {
            files.push(path.to_owned());
        }
        return;
    }
    match std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => {
            for entry in entries {
                find_files(&entry.path(), false, files, problems);
            }
        }
        Err(error) => problems.push(Problem::new(format!("cannot read {}: {error}", path.display()))),
    }
}

/// What is written in a file; `None` and a problem when it is not a suite at all.
fn parse_suite(source: &Source, problems: &mut Vec<Problem>) -> Option<Suite> {
    let root = match parse(source, problems) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let Kind::Map(entries) = &root.kind else {
        problems.push(
            Problem::at(source, root.span, format!("expected a suite, found {}", root.describe()))
                .with_help("a suite file starts with `suite: NAME` and has `cases:`"),
        );
        return None;
    };
    for entry in entries.iter() {
        if is_enough(problems) {
            break;
        }
        if !KEYS.contains(&&*entry.key) {
            let guess = did_you_mean(&entry.key, KEYS).unwrap_or_default();
            let help = format!("{guess} known here: `{}`", KEYS.join("`, `"));
            problems.push(
                Problem::at(source, entry.key_span, format!("unknown key `{}`", entry.key))
                    .with_help(help.trim_start()),
            );
        }
    }
    let name = suite_name(source, &root, problems);
    let about: Option<String> = root.get("about").and_then(|node| decode(source, node, problems));
    let about: Option<Arc<str>> = about.map(Arc::from);
    let story: Option<Story> = root.get("story").and_then(|node| decode(source, node, problems));
    let story = story.map(Arc::new);
    let empty = Node::empty_map();
    let defaults = root.get("defaults").unwrap_or(&empty);
    if defaults.get("name").is_some() {
        problems.push(Problem::at(source, defaults.span_of("name"), "`defaults` has no `name`"));
    }
    let cases = match root.get("cases") {
        Some(Node { kind: Kind::Seq(cases), .. }) if !cases.is_empty() => &cases[..],
        Some(Node { kind: Kind::Seq(_), span }) => {
            problems.push(
                Problem::at(source, *span, "the suite has no case").with_help("`cases: [{name: first, …}]`"),
            );
            &[]
        }
        Some(node) => {
            let message = format!("expected a list of cases, found {}", node.describe());
            problems.push(Problem::at(source, node.span, message));
            &[]
        }
        None => {
            problems.push(
                Problem::at(source, Span::default(), "`cases` is missing")
                    .with_help("`cases: [{name: first, …}]`"),
            );
            &[]
        }
    };
    let mut reader = CaseReader {
        source,
        file: source.path.as_str().into(),
        suite: name.clone()?,
        about: about.clone(),
        story: story.clone(),
        defaults,
        layers: Recent::default(),
        script: Recent::default(),
        published: Recent::default(),
        values: 0,
        known: HashSet::new(),
        problems,
    };
    let mut names = HashMap::new();
    let mut expanded = Vec::new();
    if let Some(first) = cases.get(MAX_CASES) {
        reader.problems.push(too_many(source, first.span, cases.len()));
        return None;
    }
    for (node, written) in cases.iter().zip(written::cases(source, &root, cases)) {
        if !reader.read(node, &written, &mut names, &mut expanded) {
            break;
        }
    }
    if is_enough(problems) {
        let message = format!("{}: these are the first {MAX_PROBLEMS} mistakes", source.path);
        problems.push(Problem::new(message).with_help("there may be more: the file is not read on"));
    }
    Some(Suite { name: name?, about, story, cases: expanded })
}

fn suite_name(source: &Source, root: &Node, problems: &mut Vec<Problem>) -> Option<Arc<str>> {
    let Some(node) = root.get("suite") else {
        problems.push(
            Problem::at(source, Span::default(), "`suite` is missing")
                .with_help("a suite file starts with its name: `suite: pitfalls/momentum`"),
        );
        return None;
    };
    let name: String = decode(source, node, problems)?;
    if name.split('/').all(is_name) {
        return Some(name.into());
    }
    problems.push(
        Problem::at(source, node.span, format!("`{name}` cannot be a suite's name"))
            .with_help(format!("{NAME_HELP}, with `/` between them")),
    );
    None
}

struct CaseReader<'a> {
    source: &'a Source,
    file: Arc<str>,
    suite: Arc<str>,
    about: Option<Arc<str>>,
    story: Option<Arc<Story>>,
    defaults: &'a Node,
    layers: Recent<Layer>,
    script: Recent<Action>,
    published: Recent<Published>,
    /// The values of all cases so far.
    values: usize,
    /// What has been said of cases: most mistakes are in all cases of a matrix.
    known: HashSet<(String, Option<(String, Span)>)>,
    problems: &'a mut Vec<Problem>,
}

fn too_many(source: &Source, span: Span, count: usize) -> Problem {
    Problem::at(source, span, format!("with this case the file has {count} cases; it may have {MAX_CASES}"))
        .with_help("split the suite, or exclude combinations")
}

impl CaseReader<'_> {
    /// Adds one written case, expanded, to `cases`. `names` has the names before it and their lines. Says whether the file
    /// is to be read on.
    fn read(
        &mut self,
        node: &Node,
        written: &Arc<Written>,
        names: &mut HashMap<Arc<str>, usize>,
        cases: &mut Vec<Case>,
    ) -> bool {
        if !matches!(node.kind, Kind::Map(_)) {
            let message = format!("expected a case, found {}", node.describe());
            self.problems
                .push(Problem::at(self.source, node.span, message).with_help("`{name: first, mode: train}`"));
            return true;
        }
        let Some((name, line)) = self.name(node, names) else { return true };
        let mut fields = node.over(&self.base(node), &REPLACED_WHOLE);
        let matrix = take(&mut fields, "matrix");
        let exclude = take(&mut fields, "exclude");
        take(&mut fields, "name");
        if let (None, Some(exclude)) = (&matrix, &exclude) {
            self.problems.push(Problem::at(self.source, exclude.span, "`exclude` without `matrix`"));
            return true;
        }
        let (known, before) = (self.problems.len(), cases.len());
        let mut said = known;
        let expansion = expand(self.source, fields, matrix.as_ref(), exclude.as_ref(), self.problems);
        let Some(Expansion { template, numbers }) = expansion else { return true };
        if !self.has_room(node, &template, numbers.len(), cases.len()) {
            return false;
        }
        let shares = !template.has_negative_zero();
        cases.reserve(numbers.len());
        for number in numbers {
            said = self.say_once(said);
            if is_enough(self.problems) {
                return false;
            }
            let fields = match template.fields(number) {
                Ok(fields) => fields,
                Err(axis) => {
                    // What is wrong with the variants before this one is wrong with a matrix that has no variants.
                    for problem in self.problems.drain(known..) {
                        self.known.remove(&problem.identity());
                    }
                    self.problems.push(leads_through(self.source, axis));
                    cases.truncate(before);
                    return true;
                }
            };
            let Some(spec) = decode::<CaseSpec>(self.source, &fields, self.problems) else {
                continue;
            };
            let Some(resolved) = resolve(self.source, &fields, node, &spec, self.problems) else {
                continue;
            };
            let variant = Variant::new(template.clone(), number);
            cases.push(Case {
                id: variant.id(&self.suite, &name),
                suite: self.suite.clone(),
                suite_about: self.about.clone(),
                story: self.story.clone(),
                name: name.clone(),
                place: Place { file: self.file.clone(), line },
                written: written.clone(),
                about: fields.get("about").and_then(Node::text).cloned(),
                tier: spec.tier,
                dtype: spec.dtype,
                input_dtype: spec.input.dtype.unwrap_or(spec.dtype),
                seed: spec.seed,
                layers: self.layers.share(resolved.layers, shares),
                script: self.script.share(resolved.script, shares),
                published: self.published.share(resolved.published, shares),
                variant,
            });
        }
        self.say_once(said);
        true
    }

    /// Leaves out what was said of a case before, of the problems from `first` on. Gives how many are left of all.
    fn say_once(&mut self, first: usize) -> usize {
        let new = self.problems.split_off(first);
        self.problems.extend(new.into_iter().filter(|problem| self.known.insert(problem.identity())));
        self.problems.len()
    }

    /// Whether a file may have so many more cases, made of this template, after `count` of them.
    fn has_room(&mut self, node: &Node, template: &Template, more: usize, count: usize) -> bool {
        self.values = self.values.saturating_add(template.values().saturating_mul(more));
        let problem = if count + more > MAX_CASES {
            too_many(self.source, node.span, count + more)
        } else if self.values > MAX_VALUES {
            let values = self.values;
            let message = format!(
                "with this case all cases of the file hold {values} values; they may hold {MAX_VALUES}"
            );
            Problem::at(self.source, node.span, message)
                .with_help("each case of a matrix counts with all of its fields: split the suite")
        } else {
            return true;
        };
        self.problems.push(problem);
        false
    }

    fn name(&mut self, node: &Node, names: &mut HashMap<Arc<str>, usize>) -> Option<(Arc<str>, usize)> {
        let Some(entry) = node.entry("name") else {
            self.problems.push(
                Problem::at(self.source, node.span, "the case has no `name`")
                    .with_help("`name: three-batches`"),
            );
            return None;
        };
        let name: String = decode(self.source, &entry.value, self.problems)?;
        let line = self.source.line_of(entry.value.span.start);
        if !is_name(&name) {
            let message = format!("`{name}` cannot be a case's name");
            self.problems.push(Problem::at(self.source, entry.value.span, message).with_help(NAME_HELP));
            return None;
        }
        if let Some(first) = names.get(&*name) {
            let message = format!("the suite has two cases named `{name}`");
            let help = format!("the first is in line {first}; ids must be unique");
            self.problems.push(Problem::at(self.source, entry.value.span, message).with_help(help));
            return None;
        }
        let name: Arc<str> = name.into();
        names.insert(name.clone(), line);
        Some((name, line))
    }

    /// The defaults, without the way of saying the steps that the case does not use.
    fn base(&self, case: &Node) -> Node {
        let mut base = self.defaults.clone();
        for (own, other) in [("steps", "mode"), ("mode", "steps")] {
            if case.get(own).is_some() {
                take(&mut base, other);
            }
        }
        base
    }
}

/// Takes a key out of a mapping.
fn take(node: &mut Node, key: &str) -> Option<Node> {
    let Kind::Map(entries) = &mut node.kind else {
        return None;
    };
    let place = entries.iter().position(|entry| *entry.key == *key)?;
    Some(Arc::make_mut(entries).remove(place).value)
}
