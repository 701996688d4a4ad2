//! Histories made by hand, some of which are violations.

use stratacache::Token;
use stratacache_core::stamp::{Incarnation, Lane, Position};

use super::*;
use crate::log::Leased;

const LIMIT: Nanos = ms(5000);
const KEY: Key = Key(0);

/// Times are in milliseconds.
#[derive(Default)]
struct Story(Vec<(u32, Event)>);

fn token(seq: u64) -> Token {
    Token::new(Lane::from_index(3).unwrap(), Position { incarnation: Incarnation(1), seq })
}

impl Story {
    fn write(mut self, key: Key, version: u64, at: u64) -> Self {
        self.0.push((0, Event::Begun { key, version, at: ms(at) }));
        self.0.push((0, Event::Committed { key, version, at: ms(at) }));
        self
    }

    fn invalidate(self, scope: Scope, called: u64, returned: u64) -> Self {
        self.invalidation(What::Invalidate, scope, called, returned, Some(token(called)))
    }

    fn invalidation(mut self, what: What, scope: Scope, called: u64, at: u64, token: Option<Token>) -> Self {
        let called = ms(called);
        self.0.push((1, Event::Called { what, scope, at: called }));
        self.0.push((1, Event::Returned { what, scope, called, at: ms(at), token }));
        self
    }

    fn load(mut self, key: Key, began: u64, ended: u64) -> Self {
        let (began, ended) = (ms(began), ms(ended));
        self.0.push((1, Event::Loaded { op: Op::Load, key, version: 0, began, ended }));
        self
    }

    fn read(self, asked: Asked, seen: Seen, began: u64) -> Self {
        self.read_of(KEY, asked, seen, began, began + 1)
    }

    fn read_of(mut self, key: Key, asked: Asked, seen: Seen, began: u64, ended: u64) -> Self {
        let (began, ended) = (ms(began), ms(ended));
        self.0.push((2, Event::Read { op: Op::Load, key, asked, seen, hit: true, began, ended }));
        self
    }

    fn check(&self) -> Checker {
        let mut checker = Checker::new(LIMIT);
        checker.absorb(&self.0, Nanos::MAX);
        checker
    }

    fn broken(&self) -> Vec<Broken> {
        self.check().violations().iter().map(|violation| violation.broken).collect()
    }

    fn holds(&self) -> bool {
        self.broken().is_empty()
    }
}

fn two_versions() -> Story {
    Story::default().write(KEY, 1, 10).write(KEY, 2, 20)
}

#[test]
fn a_read_after_an_invalidation_of_anything_it_depends_on_must_see_what_was_committed_before_the_call() {
    for scope in KEY.scopes() {
        let story = || two_versions().invalidate(scope, 30, 40);
        assert_eq!(story().read(Asked::Latest, Seen::Version(1), 41).broken(), [Broken::Stale], "{scope}");
        assert!(story().read(Asked::Latest, Seen::Version(2), 41).holds(), "{scope}");
    }
}

#[test]
fn what_it_does_not_depend_on_asks_for_nothing() {
    for scope in [Scope::Key(Key(1)), Scope::Tag(0, 3), Scope::Tag(1, 0), Scope::Space(0, Form::Bulk), Scope::Tenant(1)]
    {
        assert!(!KEY.scopes().contains(&scope));
        assert!(two_versions().invalidate(scope, 30, 40).read(Asked::Latest, Seen::Version(1), 41).holds(), "{scope}");
    }
}

#[test]
fn a_nested_namespace_is_cleared_with_the_one_around_it() {
    let nested = Key::all().find(|key| key.form() == Form::Nested).unwrap();
    let story = Story::default().write(nested, 1, 10).invalidate(Scope::Space(nested.tenant(), Form::Plain), 30, 40);
    assert_eq!(story.read_of(nested, Asked::Latest, Seen::Version(0), 41, 42).broken(), [Broken::Stale]);
}

#[test]
fn a_read_that_began_before_the_return_may_be_old() {
    assert!(two_versions().invalidate(Scope::Global, 30, 40).read(Asked::Latest, Seen::Version(1), 39).holds());
    assert!(two_versions().invalidate(Scope::Global, 30, 40).read(Asked::Latest, Seen::Version(1), 40).holds());
}

#[test]
fn a_commit_after_the_call_is_not_asked_for() {
    let story = Story::default().write(KEY, 1, 10).write(KEY, 2, 31).invalidate(Scope::Global, 30, 40);
    assert!(story.read(Asked::Latest, Seen::Version(1), 50).holds());
}

#[test]
fn an_invalidation_that_failed_asks_for_nothing_nor_does_an_expiry() {
    let failed = two_versions().invalidation(What::Invalidate, Scope::Global, 30, 40, None);
    assert!(failed.read(Asked::Latest, Seen::Version(1), 50).holds());
    let expired = two_versions().invalidation(What::Expire, Scope::Global, 30, 40, Some(token(30)));
    assert!(expired.read(Asked::Latest, Seen::Version(1), 50).holds());
}

#[test]
fn an_insert_ends_what_was_loaded_before_it() {
    let story = two_versions().invalidation(What::Insert, Scope::Key(KEY), 30, 40, Some(token(30)));
    assert_eq!(story.read(Asked::Latest, Seen::Version(1), 41).broken(), [Broken::Stale]);
}

#[test]
fn a_bounded_read_may_be_behind_by_its_bound_and_no_more() {
    let story = || two_versions().invalidate(Scope::Global, 30, 40);
    assert!(story().read(Asked::Within(1000), Seen::Version(1), 1040).holds());
    assert!(story().read(Asked::Within(1000), Seen::Version(1), 1041).holds(), "milliseconds are rounded");
    assert_eq!(story().read(Asked::Within(1000), Seen::Version(1), 1042).broken(), [Broken::Stale]);
}

#[test]
fn a_read_since_a_token_must_see_what_was_invalidated_up_to_it() {
    let story =
        || two_versions().invalidate(Scope::Global, 30, 40).write(KEY, 3, 45).invalidate(Scope::Tenant(0), 50, 60);
    let read = |seq, version| story().read(Asked::Since(token(seq)), Seen::Version(version), 70);
    assert_eq!(read(50, 2).broken(), [Broken::Stale]);
    assert!(read(50, 3).holds());
    assert!(read(30, 2).holds());
    assert_eq!(read(30, 1).broken(), [Broken::Stale]);
    assert!(read(29, 1).holds());
    let other = Token::new(Lane::from_index(3).unwrap(), Position { incarnation: Incarnation(2), seq: 50 });
    assert!(story().read(Asked::Since(other), Seen::Version(1), 70).holds(), "another history");
}

#[test]
fn of_invalidations_that_overlap_the_one_called_last_counts() {
    let story = Story::default().write(KEY, 1, 10).invalidate(Scope::Global, 12, 50).write(KEY, 2, 20);
    let story = story.invalidate(Scope::Global, 30, 40);
    assert_eq!(story.read(Asked::Latest, Seen::Version(1), 60).broken(), [Broken::Stale]);
}

#[test]
fn what_a_node_writes_down_late_still_counts() {
    let mut story = two_versions();
    story = story.invalidate(Scope::Global, 5, 60).invalidate(Scope::Global, 30, 40);
    story = story.read(Asked::Latest, Seen::Version(1), 70);
    assert_eq!(story.broken(), [Broken::Stale]);
}

#[test]
fn a_read_that_ended_after_the_cut_is_judged_with_the_next_batch() {
    let read = two_versions().read(Asked::Latest, Seen::Version(1), 70);
    let invalidation = Story::default().invalidate(Scope::Global, 30, 40);
    let mut checker = Checker::new(LIMIT);
    checker.absorb(&read.0, ms(65));
    assert!(checker.violations().is_empty() && checker.figures.reads.is_empty());
    checker.absorb(&invalidation.0, ms(100));
    assert_eq!(checker.violations().len(), 1);
}

#[test]
fn a_version_that_was_not_begun_is_a_violation_and_one_that_was_only_begun_is_none() {
    assert_eq!(two_versions().read(Asked::Latest, Seen::Version(3), 50).broken(), [Broken::NeverWritten]);
    let mut story = two_versions();
    story.0.push((0, Event::Begun { key: KEY, version: 3, at: ms(30) }));
    assert!(story.read(Asked::Latest, Seen::Version(3), 50).holds());
}

#[test]
fn a_known_absence_must_be_true_of_some_version_that_is_new_enough() {
    let key = Key::all().find(|key| key.form() == Form::Negative).unwrap();
    let story = |versions: u64| {
        (1..=versions).fold(Story::default(), |story, v| story.write(key, v, v)).invalidate(Scope::Key(key), 30, 40)
    };
    assert!(story(0).read_of(key, Asked::Latest, Seen::Absent, 50, 51).holds());
    assert!(story(3).read_of(key, Asked::Latest, Seen::Absent, 50, 51).holds());
    assert_eq!(story(4).read_of(key, Asked::Latest, Seen::Absent, 50, 51).broken(), [Broken::Stale]);
    assert!(story(4).write(key, 5, 45).write(key, 6, 50).read_of(key, Asked::Latest, Seen::Absent, 50, 51).holds());
    assert_eq!(story(3).read_of(key, Asked::Latest, Seen::Version(3), 50, 51).broken(), [Broken::NeverWritten]);
    assert_eq!(two_versions().read(Asked::Latest, Seen::Absent, 50).broken(), [Broken::NeverWritten]);
}

#[test]
fn a_foreign_value_is_a_violation_and_a_miss_and_an_error_are_none() {
    assert_eq!(two_versions().read(Asked::Latest, Seen::Foreign(7), 50).broken(), [Broken::Foreign]);
    let story = two_versions().invalidate(Scope::Global, 30, 40);
    assert!(story.read(Asked::Latest, Seen::Miss, 50).read(Asked::Latest, Seen::Failed, 50).holds());
}

#[test]
fn a_read_has_a_time_limit_that_does_not_count_while_its_node_stands_still() {
    let late = || two_versions().read_of(KEY, Asked::Latest, Seen::Version(2), 30, 5031);
    assert_eq!(late().broken(), [Broken::Late]);
    let mut checker = Checker::new(LIMIT);
    checker.freezes(2, ms(1000));
    checker.thaws(2, ms(1100));
    checker.absorb(&late().0, Nanos::MAX);
    assert!(checker.violations().is_empty());
    assert_eq!(two_versions().read(Asked::Latest, Seen::Hung, 30).broken(), [Broken::Late]);
}

#[test]
fn invalidations_that_met_a_load_are_counted_once() {
    let story = Story::default().invalidate(Scope::Global, 30, 40).invalidate(Scope::Tenant(0), 30, 40);
    let story = story.invalidate(Scope::Tenant(1), 30, 40).load(KEY, 35, 36).load(KEY, 37, 50).load(KEY, 41, 50);
    assert_eq!(story.check().figures.overlaps, 2);
    let mut checker = Checker::new(LIMIT);
    checker.absorb(&Story::default().load(KEY, 30, 35).0, ms(36));
    checker.absorb(&Story::default().invalidate(Scope::Global, 34, 60).0, ms(70));
    assert_eq!(checker.figures.overlaps, 1, "also across batches");
}

#[test]
fn loads_between_invalidations_are_counted() {
    let story = Story::default().invalidate(Scope::Key(KEY), 10, 12).load(KEY, 11, 20).load(KEY, 13, 20);
    let story = story.load(KEY, 14, 20).invalidate(Scope::Global, 30, 40).load(KEY, 41, 42).invalidate(
        Scope::Tenant(0),
        50,
        51,
    );
    let figure = loads_of_quiet_times(&story.0, 1);
    assert_eq!(figure, LoadFigure { times: 2, loads: 3, most: 2, above: 1, ..LoadFigure::default() });
}

#[test]
fn too_many_loads_are_more_than_chance_and_bypasses_explain() {
    let figure = |above, times, bypasses| LoadFigure { above, times, bypasses, ..LoadFigure::default() };
    assert!(!figure(2, 88, 0).is_above(0.02), "two of a hundred may be chance");
    assert!(figure(6, 88, 0).is_above(0.02) && !figure(6, 88, 3).is_above(0.02));
    assert!(figure(243, 10_000, 0).is_above(0.02) && !figure(242, 10_000, 0).is_above(0.02));
    assert!(figure(1, 0, 0).is_above(0.02));
}

#[test]
fn a_lease_that_expired_allows_for_one_more_load() {
    let story = |ended: u64| {
        let mut story = Story::default().invalidate(Scope::Key(KEY), 10, 12);
        for (what, life, at) in [(Leased::Held, 500, 13), (Leased::Ended, 0, ended)] {
            story.0.push((1, Event::Lease { what, key: KEY, life: ms(life), at: ms(at) }));
        }
        let story = story.load(KEY, 14, 20).load(KEY, 520, 530).invalidate(Scope::Key(KEY), 900, 901);
        loads_of_quiet_times(&story.0, 1)
    };
    assert_eq!((story(40).above, story(40).expired), (1, 0), "it was given back");
    assert_eq!((story(600).above, story(600).expired), (0, 1), "too late");
    assert_eq!((story(5000).above, story(5000).expired), (0, 1), "after the next invalidation");
}

#[test]
fn an_invalidation_whose_node_died_is_under_way_until_the_node_starts_anew() {
    let mut story = Story::default().invalidate(Scope::Key(KEY), 10, 12).load(KEY, 13, 14);
    story.0.push((1, Event::Called { what: What::Invalidate, scope: Scope::Global, at: ms(20) }));
    story.0.push((1, Event::Started { at: ms(50) }));
    let story = story.load(KEY, 21, 22).load(KEY, 23, 24).load(KEY, 51, 52).invalidate(Scope::Key(KEY), 90, 91);
    let figure = loads_of_quiet_times(&story.0, 1);
    assert_eq!((figure.times, figure.loads, figure.above), (2, 2, 0));
}

impl Story {
    fn queued(mut self, scope: Scope, called: u64, at: u64) -> Self {
        self.0.push((2, Event::Called { what: What::Invalidate, scope, at: ms(called) }));
        self.0.push((2, Event::Queued { scope, called: ms(called), at: ms(at) }));
        self
    }

    fn applied(mut self, scope: Scope, called: u64, at: u64) -> Self {
        let returned = Event::Returned {
            what: What::Invalidate,
            scope,
            called: ms(called),
            at: ms(at),
            token: Some(token(called)),
        };
        self.0.push((2, returned));
        self
    }

    fn read_elsewhere(mut self, seen: Seen, began: u64) -> Self {
        let read = Event::Read {
            op: Op::Load,
            key: KEY,
            asked: Asked::Latest,
            seen,
            hit: true,
            began: ms(began),
            ended: ms(began + 1),
        };
        self.0.push((0, read));
        self
    }
}

#[test]
fn an_invalidation_that_waits_binds_every_read_of_its_node_and_none_of_another() {
    for scope in KEY.scopes() {
        for asked in [Asked::Latest, Asked::Within(3000), Asked::Since(token(1))] {
            let story = || two_versions().queued(scope, 30, 40);
            assert_eq!(story().read(asked, Seen::Version(1), 41).broken(), [Broken::Stale], "{scope}, {asked:?}");
            assert!(story().read(asked, Seen::Version(2), 41).holds(), "{scope}, {asked:?}");
            assert!(story().read(asked, Seen::Version(1), 40).holds(), "it began before the return");
        }
        assert!(two_versions().queued(scope, 30, 40).read_elsewhere(Seen::Version(1), 50).holds(), "{scope}");
    }
}

#[test]
fn an_invalidation_that_waited_binds_everybody_once_it_was_applied() {
    let story = || two_versions().queued(Scope::Global, 30, 40).applied(Scope::Global, 30, 80);
    assert!(story().read_elsewhere(Seen::Version(1), 79).holds());
    assert_eq!(story().read_elsewhere(Seen::Version(1), 81).broken(), [Broken::Stale]);
    assert_eq!(
        story().read(Asked::Within(1000), Seen::Version(1), 79).broken(),
        [Broken::Stale],
        "here it held before"
    );
    assert!(story().read(Asked::Within(1000), Seen::Version(1), 81).holds(), "as any other");
    let figures = story().check().figures;
    assert_eq!((figures.invalidations, figures.queued, figures.acknowledged), (1, 1, 1));
}

#[test]
fn an_invalidation_that_waits_dies_with_its_node_and_is_never_acknowledged() {
    let mut story = two_versions().queued(Scope::Global, 30, 40);
    story.0.push((2, Event::Started { at: ms(60) }));
    let story = story.read(Asked::Latest, Seen::Version(1), 61);
    assert!(story.holds());
    assert_eq!(story.check().figures.acknowledged, 0);
}

#[test]
fn what_a_probe_finds_is_a_violation_and_what_nobody_answers_is_none() {
    let counted = |incoherent| Event::Counted {
        counted: Counted { bypasses: 1, probes: 5, unanswered: 2, incoherent },
        at: ms(5),
    };
    let mut story = Story::default();
    story.0.push((0, counted(0)));
    assert!(story.holds());
    story.0.push((1, counted(2)));
    story.0.push((1, Event::Incoherent { scope: 7, peer: 2, seq: 3, stamp: 4, at: ms(6) }));
    assert_eq!(story.broken(), [Broken::Incoherent, Broken::Incoherent]);
    assert_eq!((story.check().figures.counted.probes, story.check().figures.counted.unanswered), (10, 4));
}
