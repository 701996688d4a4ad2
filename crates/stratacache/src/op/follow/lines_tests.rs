use stratacache_core::{NamespacePath, Scope, TenantId, follow::Position};

use super::lines::{Item, Lines, Work};

fn tenant(n: u64) -> TenantId {
    TenantId::from(n)
}

fn at(n: u64) -> Position {
    Position::new(n, 0)
}

fn key(n: u64) -> Vec<(Scope, Item)> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    vec![(Scope::from_bytes(bytes), Item::Key(NamespacePath::default(), n.to_le_bytes().to_vec()))]
}

fn add(lines: &mut Lines, owner: u64, position: u64) {
    lines.add(tenant(owner), at(position), key(position), false);
}

fn take(lines: &mut Lines) -> Work {
    lines.take().unwrap()
}

#[test]
fn a_position_counts_as_applied_when_all_before_it_are() {
    let mut lines = Lines::default();
    add(&mut lines, 1, 1);
    add(&mut lines, 2, 2);
    assert_eq!((lines.applied(), lines.waiting()), (None, 2));
    let (first, second) = (take(&mut lines).owner, take(&mut lines).owner);
    assert_eq!(lines.applied_of(&second), 1);
    assert_eq!(lines.applied(), None, "the first is not");
    assert_eq!(lines.applied_of(&first), 1);
    assert_eq!((lines.applied(), lines.waiting()), (Some(at(2)), 0));
}

#[test]
fn a_tenant_that_fails_holds_up_nobody_but_the_position() {
    let mut lines = Lines::default();
    add(&mut lines, 1, 1);
    add(&mut lines, 2, 2);
    add(&mut lines, 1, 3);
    let first = take(&mut lines);
    assert_eq!((first.owner.clone(), first.items.len()), (tenant(1), 2), "what waits of a tenant goes together");
    assert_eq!(lines.failed(&first.owner, false), 1);
    let second = take(&mut lines).owner;
    lines.applied_of(&second);
    assert!(lines.take().is_none(), "it waits for its pause");
    add(&mut lines, 1, 4);
    add(&mut lines, 3, 5);
    assert_eq!(take(&mut lines).owner, tenant(3));
    lines.applied_of(&tenant(3));
    assert_eq!(lines.applied(), None);
    lines.due(tenant(1));
    assert_eq!(take(&mut lines).items.len(), 3);
    assert_eq!(lines.applied_of(&tenant(1)), 3);
    assert_eq!(lines.applied(), Some(at(5)));
}

#[test]
fn one_segment_of_a_tenant_flies_and_later_ones_wait_for_it() {
    let mut lines = Lines::default();
    add(&mut lines, 1, 1);
    take(&mut lines);
    add(&mut lines, 1, 2);
    assert!(lines.take().is_none(), "its first flies");
    lines.applied_of(&tenant(1));
    assert_eq!(lines.applied(), Some(at(1)));
    assert_eq!(take(&mut lines).items.len(), 1);
    assert_eq!(lines.failed(&tenant(1), false), 1, "an applied one ends the row");
}

#[test]
fn too_much_of_one_tenant_becomes_all_of_it() {
    let mut lines = Lines::default();
    for n in 1..=1024 {
        add(&mut lines, 1, n);
    }
    add(&mut lines, 1, 7); // the same once more
    assert_eq!(lines.folded(), 0);
    add(&mut lines, 1, 1025);
    let work = take(&mut lines);
    assert!(work.everything && work.items.is_empty());
    assert_eq!((lines.folded(), lines.applied_of(&tenant(1))), (1, 1026));
    let mut long = key(1);
    long[0].1 = Item::Key(NamespacePath::default(), vec![0; (1 << 20) + 1]);
    lines.add(tenant(2), at(2000), long, false);
    assert!(take(&mut lines).everything);
}

#[test]
fn what_will_never_be_accepted_is_widened_and_what_is_global_stays() {
    let mut lines = Lines::default();
    add(&mut lines, 1, 1);
    lines.add(tenant(1), at(2), vec![(Scope::from_bytes([9; 16]), Item::Global)], false);
    take(&mut lines);
    lines.failed(&tenant(1), true);
    lines.due(tenant(1));
    let work = take(&mut lines);
    assert!(work.everything);
    assert!(matches!(work.items[..], [(_, Item::Global)]));
}

#[test]
fn very_many_tenants_that_fail_are_folded_and_reading_stops() {
    let mut lines = Lines::default();
    let mut position = 0;
    for owner in 0..70 {
        for _ in 0..1000 {
            position += 1;
            add(&mut lines, owner, position);
        }
        let owner = take(&mut lines).owner;
        lines.failed(&owner, false);
        lines.bound();
    }
    assert!(lines.folded() > 0 && lines.have_room());
    for owner in 0..16_384 {
        position += 1;
        add(&mut lines, 1000 + owner, position);
    }
    assert!(!lines.have_room());
}

#[test]
fn after_a_gap_positions_may_begin_anew_and_none_counts_before_all_is_cleared() {
    let mut lines = Lines::default();
    add(&mut lines, 1, 100);
    take(&mut lines);
    lines.add_all_tenants();
    add(&mut lines, 3, 1);
    lines.applied_of(&tenant(1));
    assert!(matches!(take(&mut lines).items[..], [(Scope::ALL_TENANTS, Item::Global)]));
    assert_eq!(take(&mut lines).owner, tenant(3));
    lines.applied_of(&tenant(3));
    assert_eq!(lines.applied(), None);
    lines.applied_of(&TenantId::global());
    assert_eq!(lines.applied(), Some(at(1)));
}
