//! Places in the source of a line of PTX, read from its `.loc` directives independently of the interpreter.

use std::fmt;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path in the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl Place {
    /// From `FILE:LINE`.
    pub fn parse(text: &str) -> Option<Place> {
        let (file, line) = text.rsplit_once(':')?;
        Some(Place { file: file.to_owned(), line: line.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A position as `.loc` writes it: number of the file, line and column.
type Position = [usize; 3];

/// A `.loc` directive: a position, and that which the function around it was inlined at.
fn loc(line: &str) -> Option<(Position, Option<Position>)> {
    let rest = line.trim_start().strip_prefix(".loc")?;
    let (own, at) = rest.split_once("inlined_at").map_or((rest, None), |(own, at)| (own, Some(at)));
    let own = own.split(',').next()?;
    let position = |text: &str| {
        let numbers: Vec<usize> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        Position::try_from(numbers).ok()
    };
    Some((position(own)?, at.and_then(position)))
}

/// The place in the source that a line of a kernel is of, then where the function around it was inlined, and so on up to
/// the kernel.
pub fn places(text: &str, line: usize) -> Vec<Place> {
    let before: Vec<&str> = text.lines().take(line).collect();
    let start = before.iter().rposition(|line| line.contains(".entry ")).unwrap_or(0);
    let locs: Vec<_> = before[start..].iter().filter_map(|line| loc(line)).collect();
    let mut chain = Vec::new();
    let mut next = locs.last().copied();
    while let Some((position, inlined_at)) = next {
        chain.push(position);
        // The call is itself of an inlined function where a line before says so.
        next = inlined_at.map(|at| {
            let around = locs.iter().rev().find(|(position, around)| *position == at && around.is_some());
            around.copied().unwrap_or((at, None))
        });
    }
    // Line 0 is of nothing in the source.
    let named = chain.into_iter().filter(|[_, line, _]| *line > 0);
    named.filter_map(|[number, line, _]| Some(Place { file: file(text, number)?, line })).collect()
}

/// The name of a file by its number.
fn file(text: &str, number: usize) -> Option<String> {
    let mut files = text.lines().filter_map(|line| line.trim_start().strip_prefix(".file"));
    files.find_map(|rest| {
        let (found, name) = rest.trim().split_once(' ')?;
        (found.parse() == Ok(number)).then(|| name.trim_matches('"').to_owned())
    })
}

#[test]
fn a_line_is_of_its_place_and_of_those_it_was_inlined_at() {
    let text = "\
.visible .entry other()
\t.loc\t3 7 1, function_name $L__info_string1, inlined_at 2 9 2
.visible .entry kernel()
\t.loc\t1 96 1
\tret;
\t.loc\t2 49 17, function_name $L__info_string18, inlined_at 1 96 1
\tret;
\t.loc\t3 138 9, function_name $L__info_string19, inlined_at 2 49 17
\tret;
\t.loc\t1 0 0
\tret;
\t.file\t1 \"a.cu\"
\t.file\t2 \"b.cuh\"
\t.file\t3 \"c.cuh\"
";
    let words = |line| places(text, line).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(words(5), ["a.cu:96"]);
    assert_eq!(words(7), ["b.cuh:49", "a.cu:96"]);
    assert_eq!(words(9), ["c.cuh:138", "b.cuh:49", "a.cu:96"]);
    assert!(words(11).is_empty());
    assert_eq!(Place::parse("c.cuh:138").map(|place| place.to_string()).as_deref(), Some("c.cuh:138"));
    assert_eq!(Place::parse("c.cuh"), None);
}
