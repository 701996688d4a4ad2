//! Which keys are hot: what the queues of memory say, and what is still valid.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use stratacache_core::{KeyView, NamespacePath, clock::Millis};

use super::{HotGroup, HotTenant, LONGEST};
use crate::{
    coherence::Verdict,
    engine::{Engine, Tenant, judge::depends},
    memory::{HEATS, SlotRef, heat},
};

/// What the keys of all tenants take together is no more than this: half of what is read again.
const MOST_BYTES: usize = 128 << 20;

/// How many entries of a tenant have each heat.
type Counts = [usize; HEATS];

/// Returns how hot an entry is, if its key is one to keep: made by a keyspace, not too long, of something valid that is there.
fn keeps(engine: &Engine, tenant: &Tenant, slot: &SlotRef, now: Millis) -> Option<usize> {
    let heat = usize::from(heat(&**slot));
    let key = &slot.head().key;
    let worth = heat > 0
        && !slot.is_absent()
        && slot.useless_at() > now
        && key.key().len() + key.path().as_bytes().len() <= LONGEST
        && slot.head().mep == tenant.marks.mep() as u32
        && KeyView::of(key.key()).is_some_and(|view| view.keyspace().is_some())
        // what was invalidated, with its tenant perhaps, is not written down
        && matches!(engine.mirror.judge(&tenant.marks, &depends(&**slot)), Verdict::Valid { .. });
    worth.then_some(heat)
}

/// Looks at the entries of a tenant, until it is told to stop.
fn each(tenant: &Tenant, stop: &AtomicBool, mut look: impl FnMut(&SlotRef)) {
    let Some(partition) = tenant.partition() else { return };
    partition.for_each(|slot| {
        look(slot);
        !stop.load(Relaxed)
    });
}

/// Returns how many each tenant may keep, so that all together keep `most`, and none less than another has for want of room.
fn share(wanted: &[usize], most: usize) -> usize {
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    let mut left = most;
    for (index, one) in sorted.iter().enumerate() {
        let each = left / (sorted.len() - index);
        if *one > each {
            return each;
        }
        left -= one;
    }
    most
}

/// How much may still be taken of all tenants.
struct Left {
    keys: usize,
    bytes: usize,
}

/// Returns the keys of a tenant with the most heat, no more than `most` and than what is left.
fn hottest(
    engine: &Engine,
    tenant: &Tenant,
    counts: &Counts,
    most: usize,
    left_of_all: &mut Left,
    stop: &AtomicBool,
) -> HotTenant {
    let most = most.min(left_of_all.keys);
    let now = engine.timeline.now();
    // all that are hotter than `least`, and some that are as hot
    let (mut least, mut left) = (HEATS, most);
    while least > 1 && left > 0 {
        least -= 1;
        left = left.saturating_sub(counts[least]);
    }
    let above: usize = counts.iter().skip(least + 1).sum();
    let mut of_least = most.saturating_sub(above);
    let mut found: Vec<(usize, NamespacePath, Vec<u8>)> = Vec::new();
    each(tenant, stop, |slot| {
        let Some(heat) = keeps(engine, tenant, slot, now).filter(|heat| *heat >= least) else { return };
        if found.len() == most || (heat == least && of_least == 0) {
            return;
        }
        let key = &slot.head().key;
        // with the lengths of both
        let bytes = key.key().len() + key.path().as_bytes().len() + 8;
        if bytes > left_of_all.bytes {
            return;
        }
        left_of_all.bytes -= bytes;
        of_least -= usize::from(heat == least);
        found.push((heat, key.path().clone(), key.key().to_vec()));
    });
    left_of_all.keys -= found.len();
    found.sort_by_key(|(heat, ..)| std::cmp::Reverse(*heat));
    let mut groups: Vec<HotGroup> = Vec::new();
    let mut places = HashMap::new();
    for (_, path, key) in found {
        let place = *places.entry(path.clone()).or_insert_with(|| {
            groups.push(HotGroup { path, keys: Vec::new() });
            groups.len() - 1
        });
        groups[place].keys.push(key);
    }
    HotTenant { tenant: tenant.id.clone(), groups }
}

impl Engine {
    /// Returns the hottest keys of all tenants, no more than `most`; fewer when it is told to stop.
    pub(super) fn hot_keys(&self, most: usize, stop: &AtomicBool) -> Vec<HotTenant> {
        let now = self.timeline.now();
        let mut tenants: Vec<(Arc<Tenant>, Counts)> = Vec::new();
        for tenant in self.tenants.all() {
            let mut counts = [0; HEATS];
            each(&tenant, stop, |slot| {
                if let Some(heat) = keeps(self, &tenant, slot, now) {
                    counts[heat] += 1;
                }
            });
            tenants.push((tenant, counts));
        }
        let wanted: Vec<usize> = tenants.iter().map(|(_, counts)| counts.iter().sum()).collect();
        // where there are more tenants than keys may be kept, some have one
        let each = share(&wanted, most).max(1);
        let mut left = Left { keys: most, bytes: MOST_BYTES };
        let kept = tenants.iter().map(|(tenant, counts)| hottest(self, tenant, counts, each, &mut left, stop));
        kept.filter(|tenant| !tenant.groups.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_share_alike_and_what_one_does_not_need_goes_to_the_others() {
        for (wanted, most, each) in [
            (&[5, 5][..], 10, 10),
            (&[100, 100], 10, 5),
            (&[1, 100], 10, 9),
            (&[1, 2, 100, 100], 13, 5),
            (&[3, 3, 3], 2, 0),
            (&[], 7, 7),
        ] {
            assert_eq!(share(wanted, most), each, "{wanted:?} {most}");
            assert!(wanted.iter().map(|one| (*one).min(each)).sum::<usize>() <= most);
        }
    }
}
