//! The probe: of some invalidations of this node the others are asked, when nobody may serve the old any more, whether they
//! still do. It holds nothing up, and nothing rests on it.

mod found;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
    time::Duration,
};

use stratacache_core::{
    Consistency, Token,
    clock::Millis,
    coordinator::{Answer, Coordinator, Finding, Question},
    event::EventKind,
};

use super::{Door, Engine, Target, Tenant, standing::bound_of};
use crate::observe::{Cell, Counter};

pub(crate) use found::Asked;

/// How long answers are waited for.
const WITHIN: Duration = Duration::from_secs(1);
/// Most probes of a node that wait or ask at once.
const MOST: usize = 64;
/// What the bound is exceeded by, besides a fiftieth of it: clocks run within 1 %, and readings are rounded.
const MARGIN: Duration = Duration::from_millis(100);

/// Which invalidations are probed.
pub(crate) struct Prober {
    /// One of so many.
    every: NonZeroU32,
    running: Arc<AtomicUsize>,
    /// Counts what is about no tenant.
    cell: Arc<Cell>,
}

/// A place among the probes under way.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// An invalidation to ask about.
struct Sample {
    question: Question,
    tenant: Option<Arc<Tenant>>,
    cell: Arc<Cell>,
}

impl Prober {
    pub(crate) fn new(every: NonZeroU32, cell: Arc<Cell>) -> Self {
        Self { every, running: Arc::default(), cell }
    }

    fn place(&self) -> Option<Place> {
        let place = (self.running.fetch_add(1, AcqRel), Place(Arc::clone(&self.running)));
        (place.0 < MOST).then_some(place.1)
    }
}

/// Returns how far behind a read may be of whom an invalidation is, in milliseconds.
fn bound(consistency: Consistency) -> Millis {
    bound_of(consistency).unwrap_or(super::standing::USUAL_BOUND).as_millis() as Millis
}

impl Engine {
    /// Perhaps probes an invalidation that has taken place.
    #[inline]
    pub(super) fn probe(self: &Arc<Self>, door: &Door, targets: &[Target], token: &Token) {
        if let Some(prober) = &self.prober {
            let tenant = Some((&door.tenant, door.space.plain()));
            self.sample(prober, tenant, targets, token, bound(door.consistency));
        }
    }

    /// Perhaps probes an invalidation of a global tag, or of all tenants.
    pub(super) fn probe_global(self: &Arc<Self>, target: Target, token: &Token) {
        if let Some(prober) = &self.prober {
            self.sample(prober, None, &[target], token, bound(self.default_policy.consistency_mode()));
        }
    }

    /// Draws, and begins the probe.
    fn sample(
        self: &Arc<Self>,
        prober: &Prober,
        tenant: Option<(&Arc<Tenant>, &Arc<Cell>)>,
        targets: &[Target],
        token: &Token,
        bound: Millis,
    ) {
        if targets.is_empty() || !self.jitter.next().is_multiple_of(u64::from(prober.every.get())) {
            return;
        }
        let cell = tenant.map_or(&prober.cell, |(_, cell)| cell);
        let Some(place) = prober.place() else {
            cell.count(Counter::probes_dropped);
            return;
        };
        // one of many stands for all: they have the same position
        let Target { scope, kind } = targets[self.jitter.next() as usize % targets.len()];
        let whose = tenant.map_or(0, |(tenant, _)| tenant.scope_low);
        let question = Question::new(token.lane(), token.position(), scope, kind, whose, bound);
        let sample = Sample { question, tenant: tenant.map(|(t, _)| Arc::clone(t)), cell: Arc::clone(cell) };
        let wait = Duration::from_millis(bound.saturating_add(bound / 50)).saturating_add(MARGIN);
        let engine = Arc::downgrade(self);
        self.spawner.start(async move {
            let _place = place;
            tokio::time::sleep(wait).await;
            if let Some(engine) = engine.upgrade() {
                engine.ask_peers(sample).await;
            }
        });
    }

    async fn ask_peers(&self, sample: Sample) {
        let Sample { question, tenant, cell } = sample;
        if self.mirror.incarnation(question.lane) != question.position.incarnation {
            return; // another history began: what was before it cannot be compared, and is served by nobody
        }
        cell.count(Counter::probes);
        let answers = self.coordinator.ask(question, WITHIN).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "a probe could not be sent");
            Vec::new()
        });
        // what contradicts itself is no answer
        let makes_sense =
            |answer: &&Answer| !matches!(answer.finding, Finding::Served(stamp) if stamp >= question.position.seq);
        let answers: Vec<&Answer> = answers.iter().filter(makes_sense).collect();
        if answers.is_empty() {
            cell.count(Counter::probes_unanswered);
        }
        for answer in answers {
            if let Finding::Served(stamp) = answer.finding {
                cell.count(Counter::coherence_violations);
                self.note_violation(&question, tenant.as_deref(), answer.peer, stamp);
            }
        }
    }

    fn note_violation(&self, question: &Question, tenant: Option<&Tenant>, peer: u64, stamp: u64) {
        let (scope, seq) = (question.scope.low(), question.position.seq);
        tracing::warn!(
            scope,
            peer,
            seq,
            stamp,
            kind = ?question.kind,
            lane = question.lane.index(),
            "coherence is broken: another node still serves what was invalidated here"
        );
        self.report(tenant, EventKind::CoherenceViolation { scope, peer, seq, stamp });
    }
}
