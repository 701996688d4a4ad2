//! A noisy neighbour: what a tenant loses when another one scans.

use anyhow::Result;

use crate::{
    measure::{Effort, Tally, progress},
    requests::{
        Request,
        neighbours::{NOISY, Noise, QUIET, joint_footprint, quiet, with_noise},
    },
    rivals::{Engine, Room, budget_for},
    table::{Table, thousands},
};

const SEED: u64 = 800;

/// What each tenant found, the noisy one last.
struct Outcome {
    tenants: Vec<Tally>,
    held: u64,
}

fn sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |mut sum, tally| {
        sum.add(*tally);
        sum
    })
}

impl Outcome {
    fn of(engine: Engine, room: Room, requests: &[Request]) -> Result<Self> {
        let mut rival = engine.make(room)?;
        let mut tenants = vec![Tally::default(); usize::from(NOISY) + 1];
        rival.answer(requests, &mut |request, hit| tenants[usize::from(request.tenant)].read(hit))?;
        Ok(Self { tenants, held: rival.held() })
    }

    fn quiet(&self) -> &[Tally] {
        &self.tenants[..QUIET]
    }

    /// Returns the points that each quiet tenant has lost against another run, the most first.
    fn drops(&self, before: &Self) -> Vec<f64> {
        let mut drops: Vec<f64> =
            self.quiet().iter().zip(before.quiet()).map(|(now, then)| then.percent() - now.percent()).collect();
        drops.sort_unstable_by(|a, b| f64::total_cmp(b, a));
        drops
    }

    fn cells(&self, noise: Noise, before: Option<&Self>) -> Vec<String> {
        let percent =
            |tally: Tally| if tally.reads == 0 { "-".to_owned() } else { format!("{:.1} %", tally.percent()) };
        let drops = before.map(|before| self.drops(before)).unwrap_or_default();
        vec![
            noise.name().to_owned(),
            percent(sum(self.quiet())),
            drops.first().map_or_else(|| "-".to_owned(), |worst| format!("**{worst:.1}**")),
            before.map_or_else(|| "-".to_owned(), |_| drops.iter().filter(|d| **d > 3.0).count().to_string()),
            percent(self.tenants[usize::from(NOISY)]),
            percent(sum(&self.tenants)),
            thousands(self.held),
        ]
    }
}

/// Runs each noise through each engine.
pub(crate) fn run(effort: Effort) -> Result<Table> {
    let requests = if effort.quick { 400_000 } else { 4_000_000 };
    let entries = joint_footprint() / 10;
    progress("neighbour: the budget of Strata");
    let calm = quiet(requests, SEED);
    let room = Room { entries, strata_bytes: budget_for(entries, &calm)? };
    let mut table = Table::new(
        "Noisy neighbour",
        &format!(
            "100 tenants with 30,000 / (i + 1)^0.9 + 50 keys each, {} in all, room for a tenth of them, {} entries of one \
             weight. 99 quiet tenants send {} requests (shares Zipf 0.8, keys Zipf 0.9), the same in every run; tenant 99 \
             adds two for every three of theirs: `scan1` reads each key once, `scan2touch` each key twice within 20 of \
             its own requests, `loop60k` 60,000 keys in turn. A miss inserts. Peers are one cache with (tenant, key) \
             as the key and their default options. Strata is one cache, memory only, a tenant each, without quotas, with \
             the {} bytes that make it hold as many entries at the end of the quiet run (within 1 %, not more); it runs on \
             simulated time, a millisecond for every 100 requests, so that the arbiter's passes come as they would \
             at 100,000 requests in a second. Drops are points of hit ratio against the same engine's quiet run; \
             from the empty cache on. Seed {SEED}. Budget: the worst drop of Strata at most 3 points; total at least \
             55 % in `scan2touch`.",
            thousands(joint_footprint() as u64),
            thousands(entries as u64),
            thousands(calm.len() as u64),
            thousands(room.strata_bytes),
        ),
        &[
            "engine",
            "noise",
            "hits of the quiet tenants",
            "worst quiet tenant's drop",
            "quiet tenants that lose more than 3",
            "hits of the noisy one",
            "all hits",
            "entries at the end",
        ],
    );
    let sequences = Noise::ALL.map(|noise| (noise, with_noise(&calm, noise, SEED + 1)));
    for engine in Engine::ALL {
        let mut before: Option<Outcome> = None;
        for (noise, requests) in &sequences {
            progress(&format!("neighbour: {}, {}", engine.name(), noise.name()));
            let outcome = Outcome::of(engine, room, requests)?;
            let cells = outcome.cells(*noise, before.as_ref());
            table.row(std::iter::once(engine.name().to_owned()).chain(cells).collect());
            // the first run is the quiet one
            before.get_or_insert(outcome);
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_drop_is_that_of_the_quiet_tenant_that_lost_most() {
        let outcome = |hits: [u64; 3]| {
            let mut tenants = vec![Tally { reads: 100, hits: 50 }; QUIET + 1];
            for (tenant, hits) in tenants.iter_mut().zip(hits) {
                tenant.hits = hits;
            }
            Outcome { tenants, held: 7 }
        };
        let mut noisy = outcome([49, 70, 40]);
        noisy.tenants[QUIET] = Tally { reads: 100, hits: 0 };
        let cells = noisy.cells(Noise::Scan1, Some(&outcome([50, 60, 50])));
        assert_eq!(cells, ["scan1", "50.1 %", "**10.0**", "1", "0.0 %", "49.6 %", "7"]);
    }
}
