//! Which tenants have metrics of their own: the busiest, few enough for whoever keeps the metrics.
//!
//! No series goes backwards. What a tenant counts while it has a label is in its own series, all else in that of the others;
//! so a series that begins, begins at 0, and one that ends takes nothing with it.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use stratacache_core::{TenantId, clock::Millis};

use super::counters::{Counter, Sums, Usage, Usages};

/// How often it is decided anew who has a label.
const RANK_EVERY: Millis = 60_000;

/// Whose series this is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// Data of no tenant.
    Global,
    /// All tenants without a label of their own.
    Other,
    Tenant(TenantId),
}

impl Label {
    /// Returns the value of the label. No tenant has brackets in its id.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Global => "(global)",
            Self::Other => "(other)",
            Self::Tenant(id) => id.as_str(),
        }
    }
}

/// What is counted under one label.
#[derive(Debug)]
pub(crate) struct TenantSums {
    pub(crate) label: Label,
    pub(crate) sums: Sums,
    pub(crate) usage: Usage,
}

impl TenantSums {
    pub(super) fn label(&self) -> &str {
        self.label.as_str()
    }
}

/// What is known of a tenant with a label.
#[derive(Debug, Default)]
struct Held {
    /// What it had counted when it got the label.
    base: Sums,
    /// What those of its cells had counted that are gone since.
    moved: Sums,
    /// What was shown last.
    shown: Sums,
}

/// How busy a tenant is.
#[derive(Debug, Default)]
struct Busy {
    /// Operations when it was looked at.
    seen: u64,
    /// Operations since then and, halved each time, before.
    score: u64,
}

#[derive(Debug)]
pub(super) struct Labels {
    most: usize,
    global: Held,
    held: BTreeMap<TenantId, Held>,
    /// What was shown under labels that were taken away.
    ended: Sums,
    busy: HashMap<TenantId, Busy, RandomState>,
    ranked_at: Option<Millis>,
}

type Live<'a> = HashMap<&'a TenantId, Sums, RandomState>;

impl Labels {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            global: Held::default(),
            held: BTreeMap::new(),
            ended: Sums::default(),
            busy: HashMap::default(),
            ranked_at: None,
        }
    }

    /// Notes what a tenant had counted in something that goes away.
    pub(super) fn keep(&mut self, tenant: &TenantId, sums: &Sums) {
        let held = if tenant.is_global() { Some(&mut self.global) } else { self.held.get_mut(tenant) };
        if let Some(held) = held {
            held.moved.add(sums);
        }
    }

    /// Divides what was counted among the labels. `gone` is what is in no tenant of `live` any more.
    pub(super) fn split(&mut self, gone: &Sums, live: &Live<'_>, usages: &Usages, now: Millis) -> Vec<TenantSums> {
        self.rank(live, now);
        let mut others = *gone;
        live.values().for_each(|sums| others.add(sums));
        others.take_away(&self.ended);
        let mut rest = usages.values().fold(Usage::default(), |all, one| all.and(*one));
        let mut all = Vec::with_capacity(self.held.len() + 2);
        let global = TenantId::global();
        let labelled = self.held.iter_mut().map(|(id, held)| (Label::Tenant(id.clone()), id, held));
        for (label, id, held) in std::iter::once((Label::Global, &global, &mut self.global)).chain(labelled) {
            let (sums, usage) = (held.value(live.get(id)), usages.get(id).copied().unwrap_or_default());
            held.shown = sums;
            others.take_away(&sums);
            rest = rest.without(usage);
            all.push(TenantSums { label, sums, usage });
        }
        all.push(TenantSums { label: Label::Other, sums: others, usage: rest });
        all
    }

    /// Gives free labels to the busiest tenants without one, and once in a while the label of a tenant to one that is twice as
    /// busy.
    fn rank(&mut self, live: &Live<'_>, now: Millis) {
        let due = self.ranked_at.is_none_or(|at| now.saturating_sub(at) >= RANK_EVERY);
        if self.most == 0 || (!due && self.held.len() >= self.most) {
            return;
        }
        if due {
            self.ranked_at = Some(now);
            self.note_activity(live);
        }
        let score = |id: &TenantId| {
            let now = live.get(id).map_or(0, operations);
            // one that is not known came since
            self.busy.get(id).map_or(now, |busy| busy.score + busy.since(now))
        };
        let mut waiting: Vec<(u64, &TenantId)> = live
            .keys()
            .filter(|id| !id.is_global() && !self.held.contains_key(**id))
            .map(|id| (score(id), *id))
            .filter(|(score, _)| *score > 0)
            .collect();
        // by name where both are as busy, so that all nodes decide alike
        waiting.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        waiting.truncate(self.most);
        let mut held: Vec<(u64, TenantId)> = self.held.keys().map(|id| (score(id), id.clone())).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let had_free = held.len() < self.most;
        for (score, id) in waiting {
            if self.held.len() >= self.most {
                let Some((least, _)) = held.last() else { break };
                if !due || score <= least.saturating_mul(2) {
                    break;
                }
                if let Some((_, leaving)) = held.pop() {
                    self.end(&leaving);
                }
            }
            // while there were labels left, whoever had counted anything got one: nothing of this one was shown among the others
            let base = if had_free { Sums::default() } else { live.get(id).copied().unwrap_or_default() };
            self.held.insert(id.clone(), Held { base, ..Held::default() });
        }
    }

    /// Takes a label away. What the tenant counted since it was shown last is among the others.
    fn end(&mut self, tenant: &TenantId) {
        if let Some(held) = self.held.remove(tenant) {
            self.ended.add(&held.shown);
        }
    }

    fn note_activity(&mut self, live: &Live<'_>) {
        self.busy.retain(|id, _| live.contains_key(id) || self.held.contains_key(id));
        for id in live.keys().filter(|id| !self.busy.contains_key(**id)).copied().collect::<Vec<_>>() {
            self.busy.insert(id.clone(), Busy::default());
        }
        for (id, busy) in &mut self.busy {
            let now = live.get(id).map_or(0, operations);
            busy.score = busy.score / 2 + busy.since(now);
            busy.seen = now;
        }
    }
}

impl Held {
    fn value(&self, live: Option<&Sums>) -> Sums {
        let mut sums = self.moved;
        sums.add(live.unwrap_or(&Sums::default()));
        sums.take_away(&self.base);
        sums
    }
}

impl Busy {
    /// Returns the operations since it was looked at. A tenant that was gone meanwhile begins anew.
    const fn since(&self, now: u64) -> u64 {
        if now >= self.seen { now - self.seen } else { now }
    }
}

impl Usage {
    const fn and(self, other: Self) -> Self {
        Self { entries: self.entries + other.entries, weight: self.weight + other.weight, evictions: 0 }
    }

    const fn without(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(other.entries),
            weight: self.weight.saturating_sub(other.weight),
            evictions: 0,
        }
    }
}

/// Whatever was counted: 0 for a tenant that did nothing at all.
fn operations(sums: &Sums) -> u64 {
    Counter::ALL.iter().map(|counter| sums.get(*counter)).sum()
}

#[cfg(test)]
mod tests;
