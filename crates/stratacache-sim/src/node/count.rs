//! What a node's cache counts, written down as it moves: most nodes are killed before they could tell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use stratacache::{Cache, EventStream, Stats};
use stratacache_core::event::EventKind;
use tokio::task::JoinHandle;

use crate::{
    log::{BelowCounted, Counted, Event, Writer},
    spawn, time,
};

const STEP: Duration = Duration::from_millis(100);

/// Counts until it is stopped.
pub(super) struct Counting {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// Counts; what is below memory only where that is of interest.
pub(super) fn start(cache: &Cache, log: &Arc<Writer>, below: bool) -> Counting {
    let stop = Arc::new(AtomicBool::new(false));
    let (cache, log, stopped) = (cache.clone(), Arc::clone(log), Arc::clone(&stop));
    let task = spawn::start(async move {
        let (mut events, mut before) = (cache.events(), Counted::default());
        let mut below_before = BelowCounted::default();
        loop {
            let last = stopped.load(Relaxed);
            violations(&mut events, &log);
            let stats = cache.stats();
            let now = Counted {
                bypasses: stats.bypasses,
                probes: stats.probes,
                unanswered: stats.probes_unanswered,
                incoherent: stats.coherence_violations,
            };
            let counted = Counted {
                bypasses: now.bypasses - before.bypasses,
                probes: now.probes - before.probes,
                unanswered: now.unanswered - before.unanswered,
                incoherent: now.incoherent - before.incoherent,
            };
            if counted != Counted::default() {
                log.append(&Event::Counted { counted, at: time::now() });
            }
            before = now;
            let now = if below { counted_below(&stats) } else { BelowCounted::default() };
            let counted = now.since(&below_before);
            if counted != BelowCounted::default() {
                log.append(&Event::Below { below: counted, at: time::now() });
            }
            below_before = now;
            if last {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
    });
    Counting { stop, task }
}

fn counted_below(stats: &Stats) -> BelowCounted {
    let mut below = BelowCounted::default();
    for tier in &stats.tiers {
        below.waited += tier.writes_waiting;
        below.lost += tier.writes_lost;
        if tier.name == "object" {
            below.hits = tier.hits;
            below.failures = tier.read_failures + tier.write_failures;
        }
        if tier.name == "disk" {
            below.disk_failures = tier.write_failures;
        }
    }
    below
}

/// Writes down what probes found. Of events that were lost in between the counters tell.
fn violations(events: &mut EventStream, log: &Writer) {
    while let Some(event) = events.try_next() {
        let Ok(event) = event else { continue };
        if let EventKind::CoherenceViolation { scope, peer, seq, stamp } = event.kind {
            log.append(&Event::Incoherent { scope, peer, seq, stamp, at: time::now() });
        }
    }
}

impl Counting {
    /// Counts once more, and ends.
    pub(super) async fn stop(self) {
        self.stop.store(true, Relaxed);
        // a panic is on the standard error already, and counts there
        let _ = self.task.await;
    }
}
