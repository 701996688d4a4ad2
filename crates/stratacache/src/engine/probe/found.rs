//! Answering another node's probe: what would a read be served here?
//!
//! Whether it would be served is judged as for a read; whether it is old is told by its stamp alone, so that a mark which
//! this node never heard of does not hide it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{Finding, Question, ScopeKind},
    stamp::Lane,
};

use super::super::{Engine, Tenant, bucket::Bucket};
use crate::memory::SlotRef;

/// Most questions that are answered in a second.
const ANSWERS_PER_S: u32 = 50;
/// Most entries of memory that are looked at for one.
const LOOKED_AT: usize = 10_000;

/// How often this node was asked.
pub(crate) struct Asked {
    bucket: Mutex<Bucket>,
    refused: AtomicU64,
}

impl Asked {
    pub(crate) fn new() -> Self {
        Self { bucket: Mutex::new(Bucket::full()), refused: AtomicU64::new(0) }
    }

    fn admits(&self, now: Millis) -> bool {
        let admitted = self.bucket.lock().take(ANSWERS_PER_S, now);
        self.refused.fetch_add(u64::from(!admitted), Relaxed);
        admitted
    }

    /// Counts the questions that were not answered, since there were too many.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// Tells whether an entry depends on what a question is about.
fn depends_on(question: &Question, slot: &SlotRef) -> bool {
    let scopes = &slot.meta().scopes;
    match question.kind {
        ScopeKind::Key => slot.head().key.scope() == Some(question.scope),
        ScopeKind::Tag if question.lane == Lane::GLOBAL => scopes.global_tags().contains(&question.scope),
        ScopeKind::Tag => scopes.tags().contains(&question.scope),
        ScopeKind::Namespace if question.lane == Lane::GLOBAL => question.scope == Scope::ALL_TENANTS,
        ScopeKind::Namespace => scopes.path().contains(&question.scope),
    }
}

/// Returns the position in the question's lane which says how new an entry is.
fn stamp_of(question: &Question, slot: &SlotRef) -> u64 {
    let meta = slot.meta();
    match question.kind {
        _ if question.lane == Lane::GLOBAL => meta.global_seq,
        // an insert is newer than the invalidations of its key before it, and of nothing else
        ScopeKind::Key => meta.place(),
        ScopeKind::Tag | ScopeKind::Namespace => meta.lane_seq,
    }
}

impl Engine {
    /// Answers another node's question, unless there are too many.
    pub(crate) fn answer_peer(&self, question: &Question) -> Option<Finding> {
        if !self.shared || self.closed.load(Acquire) || !self.asked.admits(self.timeline.now()) {
            return None;
        }
        let mut left = LOOKED_AT;
        let mut found =
            self.tenants_of(question).into_iter().map(|tenant| self.find_served(&tenant, question, &mut left));
        let found = found.find(|finding| *finding != Finding::Nothing).unwrap_or(Finding::Nothing);
        if let Finding::Served(stamp) = found {
            tracing::warn!(
                scope = question.scope.low(),
                seq = question.position.seq,
                stamp,
                kind = ?question.kind,
                lane = question.lane.index(),
                "coherence is broken: this node still serves what another has invalidated"
            );
        }
        Some(found)
    }

    fn tenants_of(&self, question: &Question) -> Vec<Arc<Tenant>> {
        if question.lane == Lane::GLOBAL {
            return self.tenants.all();
        }
        self.tenants.by_scope(question.tenant).filter(|tenant| tenant.lane == question.lane).into_iter().collect()
    }

    fn find_served(&self, tenant: &Tenant, question: &Question, left: &mut usize) -> Finding {
        let Some(partition) = tenant.partition() else { return Finding::Nothing };
        // before the history: what is of an older one then has another count
        let mep = tenant.marks.mep() as u32;
        if self.mirror.incarnation(question.lane) != question.position.incarnation {
            return Finding::OtherHistory;
        }
        // a read would ask first, or do what `on_disconnect` says
        if self.floor(tenant).is_some() || !self.is_within(&tenant.marks, Duration::from_millis(question.bound)) {
            return Finding::Nothing;
        }
        let old = |slot: &SlotRef| {
            slot.head().mep == mep
                && stamp_of(question, slot) < question.position.seq
                && depends_on(question, slot)
                && self.would_serve(tenant, slot)
        };
        let found = match question.kind {
            ScopeKind::Key => partition.find_by_hash(question.scope.low(), old),
            ScopeKind::Tag | ScopeKind::Namespace => partition.find(self.jitter.next() as usize, left, old),
        };
        found.map_or(Finding::Nothing, |slot| Finding::Served(stamp_of(question, &slot)))
    }
}
