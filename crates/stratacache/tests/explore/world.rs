//! One key of one tenant: a source, loaders, writers, invalidators and readers of it.

use std::sync::{
    Arc,
    atomic::Ordering::{Acquire, Relaxed, SeqCst},
};

use stratacache_core::{
    Deployment, NamespacePath, Scope, TenantId,
    coordinator::{Applied, LaneSnapshot, Marked, ScopeKind, Strength, Subscriber},
    stamp::{Incarnation, Lane, Position, Seq},
};

use crate::{
    coherence::{
        Hooks, Mirror, TenantMarks, Verdict,
        steps::{self, Apply, Judging},
    },
    judge::{Judge, depends},
    memory::{Entry, EntryScopes, Held, Inserted, LookupKey, MapKey, NamespacePrefix, Partition, Slot, SlotRef, Times},
    sync::{AtomicU64, Mutex},
};

/// What is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Key,
    Tag,
    Tenant,
    GlobalTag,
    /// The lane loses its history.
    Everything,
}

/// Which rules are kept; all, unless a test takes one away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) stamp_before_load: bool,
    pub(crate) judge_after_put: bool,
    pub(crate) judge_before_put: bool,
    pub(crate) mark_before_removal: bool,
    /// Applies and judges with the copies of the steps instead of the mirror.
    pub(crate) copies: Option<(Apply, Judging)>,
}

pub(crate) const ALL: Kept = Kept {
    stamp_before_load: true,
    judge_after_put: true,
    judge_before_put: true,
    mark_before_removal: true,
    copies: None,
};

const KEY: &[u8] = b"key";

pub(crate) struct World {
    mirror: Mirror,
    tenant: TenantId,
    marks: Arc<TenantMarks>,
    partition: Partition,
    prefix: NamespacePrefix,
    scopes: Arc<EntryScopes>,
    key: Scope,
    kept: Kept,
    /// The version that the source holds.
    source: AtomicU64,
    /// Reads that begin now see at least this version, or nothing.
    promised: AtomicU64,
    lane_seq: Mutex<Seq>,
    global_seq: Mutex<Seq>,
}

fn position(seq: Seq) -> Position {
    Position { incarnation: Incarnation(1), seq }
}

impl World {
    pub(crate) fn new(kept: Kept) -> Arc<Self> {
        let deployment = Deployment::new([1; 16]);
        let tenant = TenantId::parse("acme").unwrap();
        let path = NamespacePath::default();
        let path_scopes = deployment.path_scopes(&tenant, &path).into();
        let scopes = EntryScopes::new(path_scopes, Box::new([scope(b't')]), Box::new([scope(b'g')]));
        let hooks = Hooks {
            now: Box::new(|| 0),
            marked: Box::new(|_| {}),
            key_marked: Box::new(|_, _| {}),
            heard: Box::new(|| {}),
            resynced: Box::new(|_| {}),
            answer: Box::new(|_| None),
        };
        let mirror = Mirror::new(64, false, hooks);
        for lane in [Lane::of(&tenant), Lane::GLOBAL] {
            mirror.snapshot(LaneSnapshot::empty(lane, Incarnation(1)));
        }
        Arc::new(Self {
            marks: mirror.tenant(&tenant, scopes.path()[0]),
            key: deployment.key_scope(&tenant, &path, KEY),
            partition: Partition::new(1 << 20),
            prefix: NamespacePrefix::new(path),
            scopes: Arc::new(scopes),
            mirror,
            tenant,
            kept,
            source: AtomicU64::new(1),
            promised: AtomicU64::new(1),
            lane_seq: Mutex::new(1),
            global_seq: Mutex::new(1),
        })
    }

    fn lookup(&self) -> LookupKey<'_> {
        LookupKey { prefix: &self.prefix, key: KEY }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { mirror: &self.mirror, marks: &self.marks }
    }

    /// Loads, puts and judges, as a leader does.
    pub(crate) fn load(&self) {
        let (mut fill, mut stamp) = self.mirror.begin_fill(&self.marks);
        let version = self.source.load(SeqCst);
        if !self.kept.stamp_before_load {
            (fill, stamp) = self.mirror.begin_fill(&self.marks);
        }
        self.put(version, &stamp, 0, fill.began());
    }

    fn put(&self, version: u64, stamp: &stratacache_core::Stamp, own: Seq, began: Seq) -> bool {
        let times = Times { created: 1, fresh_until: 1 << 40, memory_until: u64::MAX, ..Times::default() };
        let (key, scopes) = (MapKey::from(self.lookup()), Arc::clone(&self.scopes));
        let mut entry = Entry::new(key, stamp, own, times, scopes, None, Held::Own(version));
        entry.meta.weight = 200;
        let slot: SlotRef = Arc::new(entry);
        let (judge, lookup) = (self.judge(), self.lookup());
        let first = self.kept.judge_before_put;
        if first && !judge.may_enter(&self.partition, &lookup, &*slot, self.key, began) {
            return false;
        }
        let inserted = self.partition.insert(Arc::clone(&slot));
        assert_eq!(inserted, Inserted::Stored);
        if self.kept.judge_after_put {
            judge.settle(&self.partition, &lookup, &slot, self.key, began)
        } else {
            slot.head().settled.store(true, SeqCst);
            true
        }
    }

    /// Commits a new version, then invalidates what the entry depends on.
    pub(crate) fn change(&self, what: What) {
        let version = self.source.fetch_add(1, SeqCst) + 1;
        self.invalidate(what);
        self.promised.fetch_max(version, SeqCst);
    }

    fn invalidate(&self, what: What) {
        let tenant = self.scopes.path()[0].low();
        let (lane, marked) = match what {
            What::Key => (Lane::of(&self.tenant), Marked::new(self.key, ScopeKind::Key, Strength::Hard, tenant)),
            What::Tag => (Lane::of(&self.tenant), Marked::new(scope(b't'), ScopeKind::Tag, Strength::Hard, tenant)),
            What::Tenant => {
                let marked = Marked::new(self.scopes.path()[0], ScopeKind::Namespace, Strength::Hard, tenant);
                (Lane::of(&self.tenant), marked)
            }
            What::GlobalTag => (Lane::GLOBAL, Marked::new(scope(b'g'), ScopeKind::Tag, Strength::Hard, 0)),
            What::Everything => return self.lose_history(),
        };
        let mut clock = if lane == Lane::GLOBAL { self.global_seq.lock() } else { self.lane_seq.lock() };
        let seq = *clock + 1;
        if what == What::Key && !self.kept.mark_before_removal {
            self.judge().drop_older(&self.partition, &self.lookup(), seq);
        }
        match self.kept.copies {
            Some((order, _)) if what == What::Tag => steps::apply_tag(&self.marks, scope(b't'), seq, order),
            _ => self.mirror.apply(&Applied::new(lane, position(seq), vec![marked], 1)),
        }
        *clock = seq;
        drop(clock);
        if what == What::Key && self.kept.mark_before_removal {
            self.judge().drop_older(&self.partition, &self.lookup(), seq);
        }
    }

    fn lose_history(&self) {
        let mut clock = self.lane_seq.lock();
        *clock = 1;
        self.mirror.snapshot(LaneSnapshot::empty(Lane::of(&self.tenant), Incarnation(2)));
    }

    /// Writes a new version to the source and into memory, as an insert with a stamp does.
    pub(crate) fn insert(&self) {
        let (fill, stamp) = self.mirror.begin_fill(&self.marks);
        let version = self.source.fetch_add(1, SeqCst) + 1;
        let own = {
            let mut clock = self.lane_seq.lock();
            let tenant = self.scopes.path()[0].low();
            let marked = Marked::new(self.key, ScopeKind::Key, Strength::Hard, tenant);
            self.mirror.apply(&Applied::new(Lane::of(&self.tenant), position(*clock + 1), vec![marked], 1));
            *clock += 1;
            *clock
        };
        self.judge().drop_older(&self.partition, &self.lookup(), own);
        self.put(version, &stamp, own, fill.began());
        self.promised.fetch_max(version, SeqCst);
    }

    /// Reads memory as the engine does: at a glance where that is enough, else with the whole judgement.
    pub(crate) fn read(&self) -> Option<u64> {
        let promised = self.promised.load(SeqCst);
        let slot = self.partition.get(&self.lookup())?;
        let judge = self.judge();
        let serve = judge.already_seen(slot.head())
            || match self.kept.copies {
                None => judge.admissible(&*slot, || self.key),
                Some((_, order)) => self.admissible_by_copies(&*slot, order),
            };
        if !serve {
            self.partition.remove_if(&self.lookup(), |there| Arc::ptr_eq(there, &slot));
            return None;
        }
        let entry = Entry::<u64>::from_slot(slot).unwrap_or_else(|_| unreachable!("all values are numbers"));
        let version = *entry.value().expect("nothing is absent here");
        assert!(version >= promised, "stale: version {version} after {promised} was promised");
        Some(version)
    }

    fn admissible_by_copies(&self, slot: &dyn Slot, order: Judging) -> bool {
        let head = slot.head();
        let settled = head.settled.load(Acquire);
        let Verdict::Valid { lane, global, .. } = steps::judge(&self.marks, &depends(slot), order) else {
            return false;
        };
        if settled {
            head.seen_lane.fetch_max(lane, Relaxed);
            head.seen_global.fetch_max(global, Relaxed);
        }
        settled || self.mirror.key_allows(&self.marks, self.key, slot.meta().lane_seq, &depends(slot))
    }
}

fn scope(name: u8) -> Scope {
    Scope::from_bytes([name; 16])
}
