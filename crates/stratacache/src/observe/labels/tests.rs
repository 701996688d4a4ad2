#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use stratacache_core::NamespacePath;

use super::*;
use crate::observe::{Cell, Ledger};

struct World {
    ledger: Ledger,
    cells: HashMap<String, Arc<Cell>>,
    counted: u64,
    last: BTreeMap<Label, u64>,
}

impl World {
    fn new(most: usize) -> Self {
        Self { ledger: Ledger::new(most), cells: HashMap::new(), counted: 0, last: BTreeMap::new() }
    }

    fn count(&mut self, tenant: &str, n: u64) {
        let ledger = &self.ledger;
        let make = || ledger.cell(&TenantId::parse(tenant).unwrap(), &NamespacePath::default(), None);
        let cell = self.cells.entry(tenant.to_owned()).or_insert_with(make);
        cell.add(Counter::misses, n);
        self.counted += n;
    }

    fn drop_tenant(&mut self, tenant: &str) {
        self.cells.remove(tenant);
        self.ledger.tidy();
    }

    /// Looks at the misses of each label: none went backwards, and with those that ended they are all that was counted.
    fn look(&mut self, now: Millis) -> BTreeMap<Label, u64> {
        let all = self.ledger.by_tenant(&Usages::default(), now);
        let shown: BTreeMap<_, _> = all.into_iter().map(|one| (one.label, one.sums.misses)).collect();
        for (label, value) in &shown {
            let before = self.last.get(label).copied().unwrap_or(0);
            assert!(*value >= before, "{label:?} went from {before} to {value}");
        }
        self.last = shown.clone();
        shown
    }
}

fn of(shown: &BTreeMap<Label, u64>, tenant: &str) -> Option<u64> {
    shown.get(&Label::Tenant(TenantId::parse(tenant).unwrap())).copied()
}

#[test]
fn few_tenants_have_labels_from_the_first_count_on_and_nothing_is_left_for_the_others() {
    let mut world = World::new(2);
    world.look(0);
    world.count("acme", 3);
    let shown = world.look(1);
    assert_eq!((of(&shown, "acme"), shown[&Label::Other]), (Some(3), 0));
    world.count("globex", 5);
    let shown = world.look(2);
    assert_eq!((of(&shown, "acme"), of(&shown, "globex"), shown[&Label::Other]), (Some(3), Some(5), 0));
    world.count("late", 7);
    let shown = world.look(3);
    assert_eq!((of(&shown, "late"), shown[&Label::Other]), (None, 7));
}

#[test]
fn ten_thousand_tenants_have_fifty_labels_and_those_are_the_busiest() {
    let mut world = World::new(50);
    for n in 0..10_000 {
        world.count(&format!("tenant-{n}"), 1 + (n * 7_919) % 10_007);
    }
    let shown = world.look(0);
    assert_eq!(shown.len(), 52, "and the global one, and the others");
    let least = shown.iter().filter(|(l, _)| matches!(l, Label::Tenant(_))).map(|(_, n)| *n).min().unwrap();
    assert!(least > 9_900, "{least}");
    assert_eq!(shown.values().sum::<u64>(), world.counted);
}

#[test]
fn a_tenant_that_becomes_busy_takes_a_label_and_no_series_goes_backwards() {
    let mut world = World::new(1);
    world.count("acme", 100);
    world.count("globex", 10);
    world.look(0);
    world.count("globex", 500);
    assert_eq!(of(&world.look(RANK_EVERY - 1), "globex"), None, "not before it is decided anew");
    let shown = world.look(RANK_EVERY);
    assert_eq!((of(&shown, "acme"), of(&shown, "globex")), (None, Some(0)), "a series begins at 0");
    assert_eq!(shown[&Label::Other], 510, "which the others had shown, and go on showing");
    world.count("globex", 4);
    world.count("acme", 2);
    let shown = world.look(RANK_EVERY + 1);
    assert_eq!((of(&shown, "globex"), shown[&Label::Other]), (Some(4), 512));
}

#[test]
fn a_tenant_that_is_a_little_busier_takes_no_label_away() {
    let mut world = World::new(1);
    world.count("acme", 100);
    world.count("globex", 100);
    world.look(0);
    for minute in 1..10 {
        world.count("acme", 100);
        world.count("globex", 150);
        let shown = world.look(minute * RANK_EVERY);
        assert_eq!((of(&shown, "globex"), of(&shown, "acme")), (None, Some(100 * (minute + 1))));
    }
}

#[test]
fn a_tenant_that_is_dropped_and_comes_again_goes_on_where_it_was() {
    let mut world = World::new(1);
    world.count("acme", 100);
    world.look(0);
    world.drop_tenant("acme");
    assert_eq!(of(&world.look(1), "acme"), Some(100));
    world.count("acme", 1);
    assert_eq!(of(&world.look(2), "acme"), Some(101));
    world.count("other", 3);
    world.drop_tenant("other");
    assert_eq!(world.look(3)[&Label::Other], 3, "a tenant may have the name, and is none of its own");
}

#[test]
fn whatever_tenants_come_and_go_no_series_goes_backwards_and_nothing_is_lost() {
    for seed in 1..40_u64 {
        let (mut world, mut state, mut now, mut ended) = (World::new(3), seed, 0, BTreeMap::new());
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..400 {
            let tenant = format!("t{}", next(12));
            match next(10) {
                0..=6 => world.count(&tenant, next(200)),
                7 => world.drop_tenant(&tenant),
                _ => {
                    now += next(50_000);
                    let before = world.last.clone();
                    let shown = world.look(now);
                    for (label, value) in before {
                        if !shown.contains_key(&label) {
                            *ended.entry(label).or_default() += value;
                        }
                    }
                    let all = shown.values().sum::<u64>() + ended.values().sum::<u64>();
                    assert_eq!(all, world.counted, "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn without_labels_all_tenants_are_the_others() {
    let mut world = World::new(0);
    world.count("acme", 3);
    let shown = world.look(0);
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), [(Label::Global, 0), (Label::Other, 3)]);
}
