//! `report.html`: the results as a page in one file, which asks nobody for anything.
//!
//! What is read without a script stands in the file as HTML: who was judged, the verdicts, what is wrong first, how to
//! read it all. Everything else is data, packed ([`pack`]): an [`index`] of all cases, with which the script shows a
//! matrix of rows that can be seen, and blocks of [`details`] and [`pictures`], which it reads when a case is opened. So the
//! page shows at once, whatever the number of cases, and no text of a case can be anything but text: it is escaped where
//! it is HTML, Base64 where it is data, and the script makes text nodes of it.

mod assets;
mod details;
mod grid;
mod index;
mod pack;
mod pictures;
mod run;
mod steps;
mod summary;
mod text;

use askama::Template;
use bn_harness::results::RunResults;

use crate::terminal::Invocation;
use details::Depth;
use grid::Grid;
use pack::Block;
use pictures::Pictures;
use summary::Summary;

/// Bytes above which details are left out.
pub const LIMIT: usize = 15_000_000;

/// The page.
#[derive(Debug, Clone)]
pub struct Page {
    /// The file's contents.
    pub html: String,
    /// What was left out so that the file does not become larger than [`LIMIT`], a sentence each; nothing where nothing was.
    pub dropped: Vec<String>,
}

#[derive(Template)]
#[template(path = "template.html", escape = "html")]
struct Report<'a> {
    summary: Summary,
    style: &'static str,
    style_hash: &'static str,
    script: &'static str,
    script_hash: &'static str,
    dropped: &'a [String],
    first: &'a [Block],
    later: &'a [Block],
}

/// Makes the page of a run.
pub fn page(results: &RunResults) -> Page {
    page_of_at_most(results, LIMIT)
}

/// The same with another limit.
///
/// # Panics
/// Never: the template writes to memory.
pub fn page_of_at_most(results: &RunResults, limit: usize) -> Page {
    let grid = Grid::new(results);
    let invocation = Invocation::of(results);
    let index = index::index(&grid, &invocation, details::GROUP);
    let mut rest = vec![index::fields(&grid)];
    rest.extend(run::blocks(&grid));
    let summary = Summary::new(&grid, &invocation);
    let fixed = FIXED
        + assets::STYLE.text.len()
        + assets::SCRIPT.text.len()
        + summary.size()
        + size(&rest)
        + index.size();

    let mut dropped = Vec::new();
    rest.extend(fit(&grid, limit.saturating_sub(fixed), &mut dropped));
    let report = Report {
        summary,
        style: &assets::STYLE.text,
        style_hash: &assets::STYLE.hash,
        script: &assets::SCRIPT.text,
        script_hash: &assets::SCRIPT.hash,
        dropped: &dropped,
        first: &[index],
        later: &rest,
    };
    let mut html = String::with_capacity(limit.min(fixed + size(&rest)) + 4096);
    report.render_into(&mut html).expect("writing to memory cannot fail");
    Page { html, dropped }
}

/// Bytes of the template, about.
const FIXED: usize = 30_000;

fn size(blocks: &[Block]) -> usize {
    blocks.iter().map(Block::size).sum()
}

/// Details and pictures of at most so many bytes: where not everything fits, pictures are left out first, then steps,
/// then words and what is written.
fn fit(grid: &Grid, room: usize, dropped: &mut Vec<String>) -> Vec<Block> {
    let written = run::written(grid);
    let mut depth = Depth::Everything;
    let (mut blocks, mut shortened) = details::details(grid, depth);
    while size(&blocks) + written.size() > room {
        depth = match depth {
            Depth::Everything => Depth::FirstDifference,
            Depth::FirstDifference => Depth::NoSteps,
            Depth::NoSteps => break,
        };
        (blocks, shortened) = details::details(grid, depth);
    }
    let mut left = room.saturating_sub(size(&blocks));
    let keeps_written = written.size() <= left;
    if keeps_written {
        left -= written.size();
        blocks.push(written);
    }
    let pictures = Pictures::pack(grid, left);
    if pictures.left_out > 0 {
        dropped.push(format!("{} of {} pictures of tensors that differ", pictures.left_out, pictures.all));
    }
    match depth {
        Depth::Everything => {}
        Depth::FirstDifference => {
            dropped.push(format!("all but the first difference of {shortened} results that do not pass"));
        }
        Depth::NoSteps => {
            dropped
                .push(format!("the steps of {shortened} results that do not pass, and the cases in words"));
        }
    }
    if !keeps_written {
        dropped.push("the cases as they are written".to_owned());
    }
    blocks.extend(pictures.blocks);
    blocks
}
