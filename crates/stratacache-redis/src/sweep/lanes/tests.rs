use bytes::Bytes;
use stratacache_core::{
    Codec, EntryCheck,
    envelope::{self, Head},
    stamp::Position,
};

use super::*;

const TENANT: u64 = 7;

fn scope(n: u64) -> Scope {
    Scope::from_bytes(u128::from(n).to_le_bytes())
}

fn at(history: u64, seq: Seq) -> Position {
    Position { incarnation: Incarnation(history), seq }
}

/// An entry with the tag 10 and the global tag 20.
fn outline(stamp: Position, global: Position) -> Outline {
    let head = Head {
        absent: false,
        older_than_token: false,
        codec: Codec::Json,
        compression: Default::default(),
        check: EntryCheck::from_bytes([1; 16]),
        id: 1,
        stamp,
        own: 0,
        global,
        tenant: TENANT,
        created: 0,
        fresh_until: 0,
        revalidate_until: 0,
        error_until: 0,
        load_ms: 0,
        tags: vec![scope(10)],
        global_tags: vec![scope(20)],
        etag: None,
        raw_len: 0,
        key: None,
    };
    let envelope: Bytes = envelope::encode(&head, b"").unwrap();
    Outline::read(&envelope).unwrap()
}

/// Lanes of the histories 100 to 116, with their marks known.
fn lanes(floor: Seq, marks: &[(usize, Scope, ScopeKind, Strength, Seq)]) -> Lanes {
    let headers = (0..=LANES as u64).map(|n| Header::Present(Incarnation(100 + n), floor)).collect();
    let mut lanes = Lanes::new(headers);
    for lane in Lane::all() {
        let incarnation = Incarnation(100 + lane.index() as u64);
        let mut known = LaneMarks { incarnation, floor, ..LaneMarks::default() };
        for (index, scope, kind, strength, seq) in marks {
            let record =
                MarkRecord { lane, scope: *scope, kind: *kind, strength: *strength, tenant: TENANT, seq: *seq, at: 0 };
            if *index == lane.index() {
                known.keep(&record, None);
            }
        }
        lanes.learn(lane, known);
    }
    lanes
}

#[test]
fn an_entry_ends_with_a_newer_mark_of_its_tenant_tag_or_global_tag_in_its_own_lane() {
    use ScopeKind::{Key, Namespace, Tag};
    use Strength::{Hard, Soft};
    let entry = outline(at(103, 5), at(116, 5));
    for (mark, ended) in [
        ((3, scope(TENANT), Namespace, Hard, 6), true),
        ((3, scope(TENANT), Namespace, Hard, 5), false),
        ((3, scope(10), Tag, Hard, 6), true),
        ((3, scope(10), Tag, Hard, 5), false),
        ((16, scope(20), Tag, Hard, 6), true),
        ((16, scope(20), Tag, Hard, 5), false),
        ((16, Scope::ALL_TENANTS, Namespace, Hard, 6), true),
        ((16, Scope::ALL_TENANTS, Namespace, Hard, 5), false),
        // those of others: another scope, another lane, a key, one that only made it expire
        ((3, scope(8), Namespace, Hard, 6), false),
        ((4, scope(10), Tag, Hard, 6), false),
        ((3, scope(20), Tag, Hard, 6), false),
        ((3, scope(10), Key, Hard, 6), false),
        ((3, scope(10), Tag, Soft, 6), false),
        ((3, scope(TENANT), Namespace, Soft, 6), false),
    ] {
        assert_eq!(lanes(0, &[mark]).have_ended(&entry), ended, "{mark:?}");
    }
}

#[test]
fn an_entry_ends_below_the_floor_of_either_lane_and_not_at_it() {
    for (own, global, ended) in [(5, 5, false), (4, 5, true), (5, 4, true)] {
        assert_eq!(lanes(5, &[]).have_ended(&outline(at(103, own), at(116, global))), ended, "{own} {global}");
    }
}

#[test]
fn an_unknown_history_has_ended_only_if_every_lane_says_so_afterwards() {
    let entries = [outline(at(999, 5), at(116, 5)), outline(at(103, 5), at(999, 5))];
    for entry in &entries {
        let mut known = lanes(0, &[]);
        assert!(known.are_older_than(entry));
        assert!(!known.have_ended(entry), "the headers are older than the entry");
        let headers = known.headers.clone();
        // a lane that is about to begin anew may have had it
        for unsettled in [Header::Missing, Header::Ended] {
            let mut some = headers.clone();
            some[5] = unsettled;
            some[LANES] = unsettled;
            known.renew(some, std::iter::once(entry));
            assert!(!known.have_ended(entry));
        }
        known.renew(headers, std::iter::once(entry));
        assert!(known.have_ended(entry));
        assert!(!known.are_older_than(entry));
    }
    // or it has begun since, and the entry is new
    let mut known = lanes(0, &[]);
    let mut headers = known.headers.clone();
    headers[3] = Header::Present(Incarnation(999), 0);
    known.renew(headers, std::iter::once(&entries[0]));
    assert!(!known.have_ended(&entries[0]));
    assert_eq!(known.lacks(&entries[0]).next(), Some((Lane::from_index(3).unwrap(), Incarnation(999))));
}

#[test]
fn the_present_history_of_the_global_lane_is_not_one_of_a_tenant() {
    let entry = outline(at(116, 5), at(116, 5));
    let mut known = lanes(0, &[]);
    known.renew(known.headers.clone(), std::iter::once(&entry));
    assert!(known.past.contains(&Incarnation(116)));
}
