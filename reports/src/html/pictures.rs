//! The pictures of tensors that differ: a block for every few results, as long as there is room.

use std::borrow::Cow;
use std::collections::HashMap;

use bn_api::DType;
use bn_harness::results::{CaseResult, ClassCount, Element, MagnitudeBin, Number, Picture};
use serde::Serialize;

use super::grid::Grid;
use super::pack::Block;
use super::steps::round;
use super::text::line;

/// The pictures that are in the page.
#[derive(Debug, Default)]
pub struct Pictures {
    /// The blocks `p0` and so on, of [`TOGETHER`] results each, and `pictures`: of which cells each of them is.
    pub blocks: Vec<Block>,
    /// How many pictures the run has.
    pub all: usize,
    /// How many of them are left out.
    pub left_out: usize,
}

/// How many results share a block: one alone packs worse, many take long to read.
const TOGETHER: usize = 8;

#[derive(Serialize)]
struct Of<'a> {
    cell: usize,
    step: usize,
    tensor: usize,
    picture: Drawn<'a>,
}

impl Pictures {
    /// Packs pictures until `room` bytes are full: of each backend in each suite the first result's, then of each the
    /// second's, and so on, so that what is left out are later ones of those that have the most.
    pub fn pack(grid: &Grid, room: usize) -> Self {
        let mut queue: Vec<(usize, usize, &CaseResult)> = Vec::new();
        let mut ranks: HashMap<(&str, usize), usize> = HashMap::new();
        let mut pictures = Pictures::default();
        for (cell, result) in grid.cells().enumerate().filter_map(|(cell, result)| Some((cell, result?))) {
            let count = drawn(result);
            if count > 0 {
                pictures.all += count;
                let suite = &*grid.results.cases[cell / grid.columns()].suite;
                let rank = ranks.entry((suite, cell % grid.columns())).or_default();
                // What is known comes after all that is not as expected.
                let known = if result.verdict.is_expected() { 1 << 20 } else { 0 };
                queue.push((*rank + known, cell, result));
                *rank += 1;
            }
        }
        queue.sort_by_key(|&(rank, cell, _)| (rank, cell));
        let mut kept: Vec<Vec<usize>> = Vec::new();
        let mut taken = 0;
        for few in queue.chunks(TOGETHER) {
            if pictures.left_out == 0 {
                let block = block(kept.len(), few.iter().map(|&(_, cell, result)| (cell, result)));
                // Ten bytes are the most that a cell takes in the block that says where it is.
                taken += block.size() + 10 * few.len();
                if taken <= room {
                    kept.push(few.iter().map(|&(_, cell, _)| cell).collect());
                    pictures.blocks.push(block);
                    continue;
                }
            }
            pictures.left_out += few.iter().map(|(_, _, result)| drawn(result)).sum::<usize>();
        }
        if !kept.is_empty() {
            pictures.blocks.push(Block::of_json("pictures", &kept));
        }
        pictures
    }
}

/// How many tensors of a result are drawn.
fn drawn(result: &CaseResult) -> usize {
    let tensors = result.steps.iter().flat_map(|step| &step.tensors);
    tensors.filter(|tensor| tensor.picture.is_some()).count()
}

fn block<'a>(number: usize, results: impl Iterator<Item = (usize, &'a CaseResult)>) -> Block {
    let mut pictures = Vec::new();
    for (cell, result) in results {
        for step in &result.steps {
            for (tensor, drawn) in step.tensors.iter().enumerate() {
                if let Some(picture) = &drawn.picture {
                    pictures.push(Of { cell, step: step.step, tensor, picture: picture.as_ref().into() });
                }
            }
        }
    }
    Block::of_json(format!("p{number}"), &pictures)
}

/// A picture as it travels: numbers of four digits, lists in place of structures, and of the worst elements nothing that
/// follows from their bits. The script's `data.js` makes the results' own structure of it.
#[derive(Serialize)]
struct Drawn<'a> {
    dtype: DType,
    shape: &'a [usize],
    heat: HeatOf<'a>,
    /// From, count, outside.
    ulps: Vec<(Option<u64>, u64, u64)>,
    /// Exponent, count, error, budget, the smallest and the largest budget.
    magnitudes: Vec<(Option<i32>, u64, f64, f64, f64, f64)>,
    classes: &'a [ClassCount],
    /// Place in the flat order, what should be and what is there, budget, used.
    worst: Vec<WorstOf<'a>>,
}

type WorstOf<'a> = (usize, Cow<'a, str>, Cow<'a, str>, Option<f64>, Option<f64>);

#[derive(Serialize)]
struct HeatOf<'a> {
    rows: usize,
    columns: usize,
    samples: usize,
    channels: usize,
    used: Vec<Option<f64>>,
    outside: &'a [u32],
    places: &'a [usize],
    expected: Vec<Cow<'a, str>>,
    got: Vec<Cow<'a, str>>,
}

impl<'a> From<&'a Picture> for Drawn<'a> {
    fn from(picture: &'a Picture) -> Self {
        let Picture { dtype, shape, heat, ulps, magnitudes, classes, worst } = picture;
        let texts = |texts: &'a [String]| texts.iter().map(|text| line(text)).collect();
        let heat = HeatOf {
            rows: heat.rows,
            columns: heat.columns,
            samples: heat.samples,
            channels: heat.channels,
            used: heat.used.iter().map(|used| used.map(round)).collect(),
            outside: &heat.outside,
            places: &heat.places,
            expected: texts(&heat.expected),
            got: texts(&heat.got),
        };
        let magnitude = |bin: &MagnitudeBin| {
            let [error, budget] = [bin.error, bin.budget].map(round);
            (bin.exponent, bin.count, error, budget, round(bin.smallest_budget), round(bin.largest_budget))
        };
        let element = |element: &'a Element| {
            let [expected, got] = [&element.expected, &element.got].map(pattern);
            (flat(&element.index, shape), expected, got, element.budget.map(round), element.used.map(round))
        };
        Drawn {
            dtype: *dtype,
            shape,
            heat,
            ulps: ulps.iter().map(|bin| (bin.from, bin.count, bin.outside)).collect(),
            magnitudes: magnitudes.iter().map(magnitude).collect(),
            classes,
            worst: worst.iter().map(element).collect(),
        }
    }
}

/// A number's bits in hexadecimal, alone.
fn pattern(number: &Number) -> Cow<'_, str> {
    line(number.bits.strip_prefix("0x").unwrap_or(&number.bits))
}

/// The place of an element in the flat order.
fn flat(index: &[usize], shape: &[usize]) -> usize {
    let along = index.iter().zip(shape);
    along.fold(0_usize, |place, (&at, &size)| place.wrapping_mul(size).wrapping_add(at))
}
