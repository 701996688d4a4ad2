//! A node's copy of the marks, and the judgement of entries by it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::Ordering::{AcqRel, Acquire, Release},
    },
};

use foldhash::fast::RandomState;
use stratacache_core::{
    Scope, Stamp, TenantId,
    clock::Millis,
    coordinator::{Applied, Finding, LaneSnapshot, Marked, Question, ScopeKind, Strength, Subscriber},
    stamp::{Lane, Position, Seq},
};

use super::{FillGuard, TenantMarks, lane::LaneMirror, marks::Mark};
use crate::sync::{AtomicU64, RwLock};

/// What an entry is judged by.
pub(crate) struct Depends<'a> {
    pub(crate) path: &'a [Scope],
    pub(crate) tags: &'a [Scope],
    pub(crate) global_tags: &'a [Scope],
    pub(crate) lane_seq: Seq,
    pub(crate) global_seq: Seq,
    pub(crate) own: Seq,
}

/// The judgement of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something it depends on was invalidated since its load began: it is never served.
    Invalid,
    /// Nothing was, up to these counts of changes of the tenant and of the global tags.
    Valid {
        lane: u64,
        global: u64,
        /// It was made to expire (`expire`) at this time.
        expired_at: Option<Millis>,
    },
}

/// Receives the invalidations of all lanes and answers what is still valid.
pub(crate) struct Mirror {
    lanes: Vec<Arc<LaneMirror>>,
    /// Counts the marks of global tags and the snapshots of their lane; at least 1.
    global_changes: AtomicU64,
    /// The position in the lane of the global tags at which everything of all tenants was last invalidated. What it is about is
    /// in no entry, so this is looked at for each.
    all_tenants: AtomicU64,
    tenants: RwLock<HashMap<u64, Weak<TenantMarks>, RandomState>>,
    resyncs: AtomicU64,
    hooks: Hooks,
}

type AnswerHook = Box<dyn Fn(&Question) -> Option<Finding> + Send + Sync>;
type KeyHook = Box<dyn Fn(&Marked, Seq) + Send + Sync>;

/// What a mirror asks of its surroundings, and tells them.
pub(crate) struct Hooks {
    /// Returns the node's time.
    pub(crate) now: Box<dyn Fn() -> Millis + Send + Sync>,
    /// Called with the tenant (or none for all) when marks of tags or namespaces were applied.
    pub(crate) marked: Box<dyn Fn(Option<u64>) + Send + Sync>,
    /// Called after the mark of a key was applied, to remove what memory holds of it that is older than the position.
    pub(crate) key_marked: KeyHook,
    /// Answers what another node asks.
    pub(crate) answer: AnswerHook,
    /// Called when the coordinator has answered.
    pub(crate) heard: Box<dyn Fn() + Send + Sync>,
    /// Called when the marks of a lane were taken over anew: not for the first time.
    pub(crate) resynced: Box<dyn Fn(Lane) + Send + Sync>,
}

impl Mirror {
    /// Makes a mirror that knows nothing. With `keep_keys`, marks of keys are forgotten only for want of room: what
    /// outlives them, below memory, is judged by them.
    pub(crate) fn new(max_marks: usize, keep_keys: bool, hooks: Hooks) -> Self {
        Self {
            lanes: Lane::all().map(|lane| Arc::new(LaneMirror::new(lane, max_marks, keep_keys))).collect(),
            global_changes: AtomicU64::new(1),
            all_tenants: AtomicU64::new(0),
            tenants: RwLock::new(HashMap::default()),
            resyncs: AtomicU64::new(0),
            hooks,
        }
    }

    fn lane(&self, lane: Lane) -> &Arc<LaneMirror> {
        &self.lanes[lane.index()]
    }

    /// Counts what was marked of global tags; at least 1.
    #[inline]
    pub(crate) fn global_changes(&self) -> u64 {
        self.global_changes.load(Acquire)
    }

    /// Returns the marks of a tenant, which `scope` (its own) names.
    pub(crate) fn tenant(&self, id: &TenantId, scope: Scope) -> Arc<TenantMarks> {
        let mut tenants = self.tenants.write();
        if let Some(marks) = tenants.get(&scope.low()).and_then(Weak::upgrade) {
            return marks;
        }
        let lane = Arc::clone(self.lane(Lane::of(id)));
        let marks = Arc::new(TenantMarks::new(scope.low(), lane, Arc::clone(self.lane(Lane::GLOBAL))));
        tenants.retain(|_, known| known.strong_count() > 0);
        tenants.insert(scope.low(), Arc::downgrade(&marks));
        // what was applied before the tenant was known is not in its filter; read after it is known
        marks.base.store(marks.lane.applying.load(Acquire), Release);
        marks
    }

    /// Returns the present history of a lane.
    pub(crate) fn incarnation(&self, lane: Lane) -> stratacache_core::stamp::Incarnation {
        self.lane(lane).incarnation()
    }

    /// Takes the position of a tenant before a read of the source.
    pub(crate) fn stamp(&self, tenant: &TenantMarks) -> Stamp {
        self.stamp_at(tenant, tenant.lane.position())
    }

    /// Registers a fill, and takes its stamp.
    pub(crate) fn begin_fill(&self, tenant: &TenantMarks) -> (FillGuard, Stamp) {
        let mep = tenant.mep();
        let guard = FillGuard::begin(&tenant.lane);
        let position = Position { incarnation: tenant.lane.incarnation(), seq: guard.began() };
        let stamp = Stamp { mep, ..self.stamp_at(tenant, position) };
        (guard, stamp)
    }

    fn stamp_at(&self, tenant: &TenantMarks, lane: Position) -> Stamp {
        // mep first: a discontinuity in between then shows
        let mep = tenant.mep();
        Stamp { lane, global: tenant.global.position(), mep, tenant: tenant.tenant }
    }

    /// Judges by tags, namespaces, tenant, global tags and what is about all tenants.
    pub(crate) fn judge(&self, tenant: &TenantMarks, entry: &Depends<'_>) -> Verdict {
        // the counts are read before the marks
        let lane_changes = tenant.changes();
        let global_changes = self.global_changes();
        if entry.global_seq < self.all_tenants.load(Acquire) {
            return Verdict::Invalid;
        }
        let suspicious = |scope: &&Scope| tenant.at_most(**scope) > entry.lane_seq;
        let mut expired_at = None;
        let mut soft = |mark: Option<Mark>, stamp: Seq| {
            if let Some(mark) = mark.filter(|m| m.seq > stamp) {
                expired_at = Some(expired_at.map_or(mark.at, |at: Millis| at.min(mark.at)));
            }
        };
        let own_scopes = || entry.path.iter().chain(entry.tags);
        if own_scopes().any(|s| suspicious(&s)) {
            let marks = tenant.lane.marks.read();
            if entry.lane_seq < marks.floor || own_scopes().any(|s| marks.hard(*s) > entry.lane_seq) {
                return Verdict::Invalid;
            }
            if marks.soft_last > entry.lane_seq {
                own_scopes().for_each(|s| soft(marks.soft(*s), entry.lane_seq));
            }
        }
        if !entry.global_tags.is_empty() {
            let marks = tenant.global.marks.read();
            if entry.global_seq < marks.floor || entry.global_tags.iter().any(|s| marks.hard(*s) > entry.global_seq) {
                return Verdict::Invalid;
            }
            if marks.soft_last > entry.global_seq {
                entry.global_tags.iter().for_each(|s| soft(marks.soft(*s), entry.global_seq));
            }
        }
        Verdict::Valid { lane: lane_changes, global: global_changes, expired_at }
    }

    /// Judges by the marks of the entry's key; `began` is the position before the fill began.
    pub(crate) fn key_allows(&self, tenant: &TenantMarks, key: Scope, began: Seq, entry: &Depends<'_>) -> bool {
        tenant.lane.keys.lock().allow(key, began, entry.lane_seq, entry.own)
    }

    /// Tells whether a key had no mark between a fill guard's position and a mark of its own, nor has one after it.
    pub(crate) fn key_undisturbed(&self, tenant: &TenantMarks, key: Scope, began: Seq, own: Seq) -> bool {
        tenant.lane.keys.lock().allow(key, began, began, own)
    }

    /// Returns when a key was made to expire after the entry's stamp, if it was.
    pub(crate) fn key_expired_at(&self, tenant: &TenantMarks, key: Scope, entry: &Depends<'_>) -> Option<Millis> {
        let marks = tenant.lane.marks.read();
        if marks.soft_last <= entry.lane_seq.max(entry.own) {
            return None;
        }
        marks.soft_of_key(key).filter(|m| m.seq > entry.lane_seq.max(entry.own)).map(|m| m.at)
    }

    /// Tells whether anything was made to expire in the tenant's lane since the entry's stamp.
    pub(crate) fn has_soft_marks(&self, tenant: &TenantMarks, entry: &Depends<'_>) -> bool {
        tenant.lane.soft_last() > entry.lane_seq || tenant.global.soft_last() > entry.global_seq
    }

    /// Tells whether an entry from a tier below belongs to the histories this node knows.
    ///
    /// Where nodes share the order, an entry may come from one that is further on: `ahead` allows it.
    pub(crate) fn knows(&self, tenant: &TenantMarks, lane: Position, global: Position, own: Seq, ahead: bool) -> bool {
        let below = |mirror: &LaneMirror, p: Position| {
            let known = ahead || p.seq <= mirror.applied();
            p.incarnation == mirror.incarnation() && known && p.seq >= mirror.marks.read().floor
        };
        below(&tenant.lane, lane) && below(&tenant.global, global) && (ahead || own <= tenant.lane.applied())
    }

    /// Returns the time at which this node was last known to be up to date with a tenant's lane and the global one.
    pub(crate) fn as_of(&self, tenant: &TenantMarks) -> Millis {
        tenant.lane.as_of.load(Acquire).min(tenant.global.as_of.load(Acquire))
    }

    /// Returns the newest known mark of a key or of anything else in the tenant's lane that an entry of it depends on.
    pub(crate) fn newest_mark(&self, tenant: &TenantMarks, key: Scope, path: &[Scope], tags: &[Scope]) -> Seq {
        let marks = tenant.lane.marks.read();
        let others = path.iter().chain(tags).map(|scope| marks.hard(*scope)).max().unwrap_or(0);
        drop(marks);
        others.max(self.last_key_mark(tenant, key))
    }

    /// Returns the position at which a tenant was last cleared; 0 where it was not, or long ago.
    pub(crate) fn tenant_mark(&self, tenant: &TenantMarks, scope: Scope) -> Seq {
        tenant.lane.marks.read().of_namespace(scope)
    }

    /// Returns the last known mark of a key, for `inspect`.
    pub(crate) fn last_key_mark(&self, tenant: &TenantMarks, key: Scope) -> Seq {
        tenant.lane.keys.lock().last(key)
    }

    /// Forgets marks that no entry alive can depend on.
    pub(crate) fn forget(&self, keep_since: Millis) {
        for lane in &self.lanes {
            lane.marks.write().forget(keep_since);
            let applied = lane.applied();
            lane.keys.lock().forget(applied);
        }
    }

    /// Counts how often marks were taken over anew.
    pub(crate) fn resyncs(&self) -> u64 {
        self.resyncs.load(Acquire)
    }

    /// Counts the marks held, keys included.
    pub(crate) fn marks_held(&self) -> usize {
        self.lanes.iter().map(|l| l.marks.read().len() + l.keys.lock().len()).sum()
    }

    /// Tells whether tag marks were folded into a sketch for want of room.
    pub(crate) fn folded(&self) -> bool {
        self.lanes.iter().any(|l| l.marks.read().folds())
    }
}

/// Tells whether a mark is one of those that are kept apart.
fn of_key(kind: ScopeKind, strength: Strength) -> bool {
    kind == ScopeKind::Key && strength == Strength::Hard
}

impl Subscriber for Mirror {
    fn snapshot(&self, snapshot: LaneSnapshot) {
        let lane = self.lane(snapshot.lane);
        let Position { incarnation, seq } = snapshot.position;
        // before and after: what is judged or stamped in between belongs to neither history
        let first = lane.mep.fetch_add(1, AcqRel) == 0;
        {
            let mut marks = lane.marks.write();
            let mut keys = lane.keys.lock();
            marks.reset(snapshot.floors.marks);
            keys.reset(snapshot.floors.keys);
            if snapshot.lane == Lane::GLOBAL {
                let of_all = snapshot.marks.iter().filter(|record| record.scope == Scope::ALL_TENANTS);
                self.all_tenants.store(of_all.map(|record| record.seq).max().unwrap_or(0), Release);
            }
            let mut records = snapshot.marks;
            records.sort_unstable_by_key(|record| record.seq);
            for record in &records {
                let mark = Mark { seq: record.seq, at: record.at };
                if of_key(record.kind, record.strength) {
                    keys.set(record.scope, record.seq, 0);
                } else {
                    marks.set(record.scope, record.kind, record.strength, mark);
                }
            }
        }
        lane.incarnation.store(incarnation.0, Release);
        lane.start(seq);
        lane.publish(seq);
        lane.mep.fetch_add(1, AcqRel);
        if snapshot.lane == Lane::GLOBAL {
            self.global_changes.fetch_add(1, AcqRel);
        } else {
            for tenant in self.tenants.read().values().filter_map(Weak::upgrade) {
                if tenant.lane.lane == snapshot.lane {
                    tenant.base.fetch_max(seq, AcqRel);
                    tenant.publish();
                }
            }
        }
        (self.hooks.marked)(None);
        if !first {
            self.resyncs.fetch_add(1, AcqRel);
            (self.hooks.resynced)(snapshot.lane);
        }
    }

    fn apply(&self, message: &Applied) {
        let lane = self.lane(message.lane);
        let seq = message.position.seq;
        lane.start(seq);
        let keys = || message.scopes.iter().filter(|m| of_key(m.kind, m.strength));
        if keys().next().is_some() {
            {
                let applied = lane.applied();
                let mut marks = lane.keys.lock();
                keys().for_each(|marked| marks.set(marked.scope, seq, applied));
            }
            // after their marks: what is put meanwhile is judged by them
            keys().for_each(|marked| (self.hooks.key_marked)(marked, seq));
        }
        let others = || message.scopes.iter().filter(|m| !of_key(m.kind, m.strength));
        if others().next().is_some() {
            {
                let mut marks = lane.marks.write();
                for marked in others() {
                    marks.set(marked.scope, marked.kind, marked.strength, Mark { seq, at: message.at });
                }
            }
            if message.lane == Lane::GLOBAL {
                if others().any(|marked| marked.scope == Scope::ALL_TENANTS) {
                    self.all_tenants.fetch_max(seq, AcqRel);
                }
                self.global_changes.fetch_add(1, AcqRel);
                (self.hooks.marked)(None);
            } else {
                let known = |id: u64| self.tenants.read().get(&id).and_then(Weak::upgrade);
                let touched: Vec<_> = others().filter_map(|m| Some((m, known(m.tenant)?))).collect();
                // all filters before any count: who sees the count must see every filter
                touched.iter().for_each(|(marked, tenant)| tenant.raise(marked.scope, seq));
                for (marked, tenant) in &touched {
                    tenant.publish();
                    (self.hooks.marked)(Some(marked.tenant));
                }
            }
        }
        lane.publish(seq);
    }

    fn up_to_date(&self, lane: Lane, at: Millis) {
        self.lane(lane).as_of.fetch_max(at, AcqRel);
        (self.hooks.heard)();
    }

    fn answer(&self, question: &Question) -> Option<Finding> {
        (self.hooks.answer)(question)
    }

    fn now(&self) -> Millis {
        (self.hooks.now)()
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("marks", &self.marks_held()).finish_non_exhaustive()
    }
}
