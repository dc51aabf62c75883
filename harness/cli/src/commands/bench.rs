//! `bncheck bench`: how fast are cases judged, where does the time go, and how fast are the backends?

mod judged;

use std::collections::HashMap;
use std::time::Duration;

use bn_api::Responder;
use bn_harness::bench::{self, Network, Shape, Times};
use bn_harness::runner;
use bn_reports::bench::{Bench, SCHEMA_VERSION, ShapeSpeed, Taken, human};

use crate::args::{BenchArgs, Format};
use crate::backends::{self, Chosen, ORACLE, Workers};
use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::interrupt;

/// How long a backend may take over a shape, at least: those of whole batches are large.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest that a forward and a backward may be expected to take, judged by a smaller batch.
const LONGEST: f64 = 20.0;

/// Measures, and prints what came of it.
pub fn bench(args: &BenchArgs) -> Result<Outcome, CliError> {
    let mut workers = Workers::of(&args.backends.workers)?;
    workers.timeout = workers.timeout.max(PATIENCE);
    interrupt::stops(&workers.stop);
    let chosen = backends::choose_with(&args.backends, workers)?;
    let runs = if args.shapes_only { Vec::new() } else { judged::all(args, &chosen)? };
    let shapes = if args.cases_only { Vec::new() } else { time_shapes(args, &chosen)? };
    let machine = runner::machine();
    let bncheck = env!("CARGO_PKG_VERSION").to_owned();
    let bench = Bench { schema_version: SCHEMA_VERSION, bncheck, machine, runs, shapes };
    print(&match args.format {
        Format::Human => human(&bench),
        Format::Json => format!("{:#}\n", serde_json::to_value(&bench).map_err(std::io::Error::from)?),
    })?;
    Ok(Outcome::AsExpected)
}

/// Times every backend on every shape; libtorch first, which the others are compared with.
fn time_shapes(args: &BenchArgs, chosen: &Chosen) -> Result<Vec<ShapeSpeed>, CliError> {
    let mut contestants: Vec<Box<dyn Responder>> = chosen.open()?;
    contestants.sort_by_key(|backend| backend.info().name != ORACLE);
    if contestants.first().is_none_or(|first| first.info().name != ORACLE) {
        contestants.insert(0, backends::entry(ORACLE)?.open(&chosen.workers)?);
    }
    let networks = if args.networks.is_empty() { Network::ALL.to_vec() } else { args.networks.clone() };
    let mut timed = Vec::new();
    // What an element took in the largest batch so far, by backend, in seconds.
    let mut known: HashMap<String, f64> = HashMap::new();
    for network in networks {
        let shapes = if args.all_shapes { network.shapes() } else { network.some_shapes() };
        for shape in shapes {
            for &batch in &args.batches {
                eprintln!("timing {shape}, batch {batch}");
                time_shape(&shape, batch, &mut contestants, &mut known, &mut timed);
                if chosen.workers.stop.is_now() {
                    return Ok(timed);
                }
            }
        }
    }
    Ok(timed)
}

fn time_shape(
    shape: &Shape,
    batch: usize,
    contestants: &mut [Box<dyn Responder>],
    known: &mut HashMap<String, f64>,
    timed: &mut Vec<ShapeSpeed>,
) {
    let request = bench::request(shape, batch);
    let sizes = vec![batch, shape.channels, shape.height, shape.width];
    let elements = sizes.iter().product::<usize>() as f64;
    let mut libtorch = None;
    for backend in contestants {
        let name = backend.info().name.clone();
        let expected = known.get(&name).map_or(0.0, |seconds| seconds * elements);
        let times = if expected > LONGEST {
            Err(format!("not timed: it would take about {expected:.0} s"))
        } else {
            bench::time(backend.as_mut(), &request)
        };
        let taken = match times {
            Err(why) => Taken::Not { why },
            Ok(Times { forward, backward, repeats, with_pipe }) => {
                let whole = (forward + backward.unwrap_or_default()) as f64;
                known.insert(name.clone(), whole / 1e9 / elements);
                if name == ORACLE {
                    libtorch = Some(whole);
                }
                // Without a backward it is another amount of work.
                let of_libtorch = libtorch.filter(|_| backward.is_some()).map(|libtorch| whole / libtorch);
                Taken::Times { forward, backward, repeats, with_pipe, of_libtorch }
            }
        };
        let network = shape.network.name().to_owned();
        timed.push(ShapeSpeed { network, shape: sizes.clone(), backend: name, taken });
    }
}
