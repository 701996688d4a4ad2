use std::{sync::Arc, time::Duration};

use super::*;
use crate::clock::ManualClock;

const TICK: Duration = Duration::from_millis(1);

fn stepped(slack: Duration) -> (ManualClock, History, ScopeId, ScopeId) {
    let clock = ManualClock::new();
    let mut plan = HistoryBuilder::new();
    let (key, tag) = (plan.scope("key 7"), plan.scope("tag red"));
    plan.slack(slack).clock(Arc::new(clock.clone()));
    (clock, plan.build(), key, tag)
}

#[test]
fn a_value_whose_load_began_before_a_returned_invalidation_was_called_is_stale() {
    let (clock, history, key, tag) = stepped(Duration::ZERO);
    let value = history.load(1, 7, &[key, tag]).finish();
    clock.advance(TICK);
    let call = history.invalidation(&[tag]);
    clock.advance(TICK);
    assert!(history.read(1, 7, &[key, tag]).saw(&value), "the invalidation has not returned yet");
    let overlapping = history.read(1, 7, &[key, tag]);
    call.returned();
    assert!(overlapping.saw(&value), "the read began before the invalidation returned");
    assert!(history.read(1, 7, &[key]).saw(&value), "this reader does not depend on the tag");
    clock.advance(TICK);
    assert!(!history.read(1, 7, &[key, tag]).saw(&value));
    let report = history.report();
    assert_eq!((report.stale, report.foreign, report.hits, report.invalidations), (1, 0, 4, 1));
    let text = report.verdict(0).unwrap_err().to_string();
    assert!(text.contains("`tag red`") && text.contains("1000000 ns before"), "{text}");
}

#[test]
fn a_load_that_began_after_the_call_may_be_returned_although_it_ran_during_the_invalidation() {
    let (clock, history, key, tag) = stepped(Duration::ZERO);
    let call = history.invalidation(&[key]);
    clock.advance(TICK);
    let load = history.load(1, 7, &[key, tag]);
    call.returned();
    clock.advance(TICK);
    let value = load.finish();
    assert!(history.read(1, 7, &[key, tag]).saw(&value));
    history.report().verdict(1).unwrap();
}

#[test]
fn an_invalidation_that_failed_or_was_dropped_binds_no_read() {
    let (clock, history, key, _) = stepped(Duration::ZERO);
    let value = history.load(1, 7, &[key]).finish();
    clock.advance(TICK);
    drop(history.invalidation(&[key]));
    assert!(history.read(1, 7, &[key]).saw(&value));
    let report = history.report();
    assert_eq!((report.invalidations, report.unconfirmed, report.operations), (0, 1, 3));
}

#[test]
fn an_older_invalidation_that_returns_later_does_not_weaken_the_bound() {
    let (clock, history, key, _) = stepped(Duration::ZERO);
    let older = history.invalidation(&[key]);
    clock.advance(TICK);
    let value = history.load(1, 7, &[key]).finish();
    clock.advance(TICK);
    history.invalidation(&[key]).returned();
    older.returned();
    assert!(!history.read(1, 7, &[key]).saw(&value));
}

#[test]
fn with_slack_an_invalidation_binds_reads_only_that_long_after_it_returned() {
    let slack = 160 * TICK;
    let (clock, history, key, _) = stepped(slack);
    let value = history.load(1, 7, &[key]).finish();
    clock.advance(TICK);
    history.invalidation(&[key]).returned();
    clock.advance(slack - TICK);
    assert!(history.read(1, 7, &[key]).saw(&value));
    clock.advance(slack / 16 + TICK);
    assert!(!history.read(1, 7, &[key]).saw(&value));
}

#[test]
fn with_slack_a_storm_of_invalidations_leaves_a_bounded_record() {
    let slack = 160 * TICK;
    let (clock, history, key, _) = stepped(slack);
    for _ in 0..100_000 {
        clock.advance(TICK / 10);
        history.invalidation(&[key]).returned();
        if history.report().invalidations.is_multiple_of(7) {
            history.read(1, 7, &[key]).missed();
        }
    }
    history.read(1, 7, &[key]).missed();
    assert!(history.scope(key).pending() <= 18, "{}", history.scope(key).pending());
    let old = Value { tenant: 1, key: 7, load: 1, began: 0 };
    assert!(!history.read(1, 7, &[key]).saw(&old), "the early ones bind while the storm goes on");
}

#[test]
fn a_value_of_another_tenant_or_key_is_foreign() {
    let (_, history, key, _) = stepped(Duration::ZERO);
    let value = history.load(1, 7, &[key]).finish();
    assert!(!history.read(2, 7, &[key]).saw(&value));
    assert!(!history.read(1, 8, &[key]).saw(&value));
    let report = history.report();
    assert_eq!((report.foreign, report.stale), (2, 0));
    assert!(matches!(report.verdict(0), Err(Failure::Violated(_))));
    assert!(report.to_string().contains("foreign: a read of tenant 2 key 7"), "{report}");
}

#[test]
fn invalidations_that_overlap_a_load_in_their_scope_are_counted_once_and_others_are_not() {
    let (_, history, key, tag) = stepped(Duration::ZERO);
    history.invalidation(&[key, tag]).returned(); // no load
    let first = history.load(1, 7, &[key, tag]);
    let second = history.load(1, 7, &[key, tag]);
    history.invalidation(&[key, tag]).returned(); // loads all the while
    let (ends_within, begins_within) = (history.invalidation(&[key]), history.invalidation(&[tag]));
    drop(first);
    let value = second.finish();
    ends_within.returned();
    begins_within.returned();
    let within = history.invalidation(&[tag]);
    drop(history.load(1, 8, &[tag])); // begins and ends during the invalidation
    within.returned();
    let elsewhere = history.load(1, 9, &[tag]);
    history.invalidation(&[key]).returned(); // a load, but in another scope
    drop(elsewhere);
    assert!(!history.read(1, 7, &[]).saw(&Value { key: 8, ..value }));
    let report = history.report();
    assert_eq!((report.overlaps, report.invalidations), (4, 6));
    assert_eq!((report.loads, report.abandoned_loads), (1, 3));
}

#[test]
fn a_run_that_proves_nothing_is_refused() {
    let (_, history, key, _) = stepped(Duration::ZERO);
    assert!(matches!(history.report().verdict(0), Err(Failure::NothingRead(_))));
    let value = history.load(1, 7, &[key]).finish();
    history.read(1, 7, &[key]).saw(&value);
    history.report().verdict(0).unwrap();
    let error = history.report().verdict(5).unwrap_err();
    assert!(error.to_string().contains("only 0 invalidations ran during a load in their scope, 5 are wanted"));
}

#[test]
fn an_insert_without_a_stamp_is_never_stale_but_may_be_foreign() {
    let (clock, history, key, _) = stepped(Duration::ZERO);
    let value = history.unstamped(1, 7);
    clock.advance(TICK);
    history.invalidation(&[key]).returned();
    assert!(history.read(1, 7, &[key]).saw(&value));
    assert!(!history.read(2, 7, &[key]).saw(&value));
}

#[test]
fn only_the_first_ten_violations_are_kept_in_full() {
    let (_, history, key, _) = stepped(Duration::ZERO);
    let value = history.load(1, 7, &[key]).finish();
    for _ in 0..1_000 {
        history.read(3, 3, &[key]).saw(&value);
    }
    let report = history.report();
    assert_eq!((report.foreign, report.violations.len()), (1_000, 10));
}

#[test]
fn values_survive_their_bytes() {
    let value = Value { tenant: 1, key: u32::MAX, load: 3, began: u64::MAX - 1 };
    assert_eq!(Value::from_bytes(&value.to_bytes()), Some(value));
    assert_eq!(Value::from_bytes(b"short"), None);
}
