//! The hit ratio of one tenant.

use anyhow::Result;

use crate::{
    measure::{Effort, Tally, progress},
    requests::{Request, single::KINDS},
    rivals::{Engine, Room, budget_for},
    table::{Table, thousands},
};

const SEED: u64 = 900;
const CAPACITIES: [usize; 2] = [2_000, 20_000];

fn play(engine: Engine, room: Room, requests: &[Request]) -> Result<(f64, u64)> {
    let mut rival = engine.make(room)?;
    let mut tally = Tally::default();
    rival.answer(requests, &mut |_, hit| tally.read(hit))?;
    Ok((tally.percent(), rival.held()))
}

/// Runs each sequence through each engine at two sizes.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let count = if effort.quick { 300_000 } else { 3_000_000 };
    let mut head = vec!["sequence", "room for"];
    head.extend(Engine::ALL.map(Engine::name));
    head.extend(["Strata against the best other, points", "entries of Strata at the end"]);
    let mut table = Table::new(
        "Hit ratio of one tenant",
        &format!(
            "Synthetic sequences of {} requests over 200,000 keys, from the empty cache on; public traces of real \
             applications could not be fetched where this was written, so there are none. A third of the requests of \
             a scan sequence go to keys that are new each time. A read that misses inserts; unit weights. The budget of \
             Strata is the one with which it holds as many entries of one weight at the end of the sequence \
             (within 1 %, not more); it runs on simulated time, a millisecond for every 100 requests. Peers with their default \
             options. Per cent of the requests; seed {SEED}. Budget: within 1 point of the best other.",
            thousands(count as u64)
        ),
        &head,
    );
    for kind in KINDS {
        let requests = kind.requests(count, SEED);
        for entries in CAPACITIES {
            progress(&format!("ratio: {}, {entries} entries", kind.name));
            let room = Room { entries, strata_bytes: budget_for(entries, &requests)? };
            let found = Engine::ALL.map(|engine| play(engine, room, &requests));
            let found = found.into_iter().collect::<Result<Vec<_>>>()?;
            let (strata, others) = (found[0], &found[1..]);
            let best = others.iter().map(|(percent, _)| *percent).fold(f64::NEG_INFINITY, f64::max);
            let mut cells = vec![kind.name.to_owned(), thousands(entries as u64)];
            cells.extend(found.iter().map(|(percent, _)| format!("{percent:.1}")));
            cells.extend([format!("**{:+.1}**", strata.0 - best), thousands(strata.1)]);
            table.row(cells);
        }
    }
    Ok(table)
}
