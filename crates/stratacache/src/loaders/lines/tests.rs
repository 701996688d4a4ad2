use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;

use super::*;

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(SeqCst))
    }

    fn coarse(&self) -> Duration {
        self.now()
    }

    fn wall(&self) -> Duration {
        self.now()
    }

    fn refresh(&self) {}
}

fn lines(most: usize, max_waiting: usize) -> Arc<Lines> {
    let clock: Arc<dyn Clock> = Arc::new(Hand::default());
    Arc::new(Lines::new(most, max_waiting, None, &clock))
}

type Taking<'a> = Pin<Box<dyn Future<Output = Option<Seat>> + 'a>>;

fn taking(lines: &Arc<Lines>, tenant: u64) -> Taking<'_> {
    Box::pin(lines.take(tenant, None))
}

fn polled(taking: &mut Taking<'_>) -> Option<Option<Seat>> {
    match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(seat) => Some(seat),
        Poll::Pending => None,
    }
}

/// Polls what must be ready with a seat.
fn seated(taking: &mut Taking<'_>) -> Seat {
    polled(taking).flatten().expect("it has a seat")
}

#[test]
fn a_tenant_that_comes_last_has_its_turn_after_one_of_the_flood() {
    let lines = lines(1, 1_000);
    let first = seated(&mut taking(&lines, 1));
    let mut flood: Vec<_> = (0..100).map(|_| taking(&lines, 1)).collect();
    assert!(flood.iter_mut().all(|one| polled(one).is_none()));
    let mut other = taking(&lines, 2);
    assert!(polled(&mut other).is_none());
    drop(first);
    let one = flood.iter_mut().filter_map(polled).flatten().collect::<Vec<_>>();
    assert_eq!(one.len(), 1, "the flood was first in turn");
    assert!(polled(&mut other).is_none());
    drop(one);
    drop(seated(&mut other));
    assert_eq!(lines.counts(), (1, 98), "and then the flood goes on");
}

#[test]
fn a_tenant_that_steps_aside_leaves_its_turns_to_others_and_returns_to_the_head_of_its_line() {
    let lines = lines(1, 1_000);
    let first = seated(&mut taking(&lines, 1));
    let mut own: Vec<_> = (0..10).map(|_| taking(&lines, 1)).collect();
    let mut others: Vec<_> = (0..3).map(|_| taking(&lines, 2)).collect();
    assert!(own.iter_mut().chain(&mut others).all(|one| polled(one).is_none()));
    let aside = first.step_aside();
    for other in &mut others {
        let seat = seated(other);
        assert!(own.iter_mut().all(|one| polled(one).is_none()), "its line waits with it");
        drop(seat);
    }
    assert_eq!(lines.counts(), (0, 10));
    let mut again: Taking<'_> = Box::pin(lines.take(1, Some(aside)));
    drop(seated(&mut again));
    drop(again);
    own.iter_mut().for_each(|one| drop(seated(one)));
    assert_eq!(lines.counts(), (0, 0));
}

#[test]
fn a_line_moves_on_when_the_one_that_stepped_aside_gives_up() {
    let lines = lines(1, 1_000);
    let first = seated(&mut taking(&lines, 1));
    let mut second = taking(&lines, 1);
    assert!(polled(&mut second).is_none());
    let aside = first.step_aside();
    let mut third = taking(&lines, 1);
    assert!(polled(&mut second).is_none() && polled(&mut third).is_none());
    drop(aside);
    drop(seated(&mut second));
    drop(seated(&mut third));
    let aside = seated(&mut taking(&lines, 1)).step_aside();
    let mut alone = taking(&lines, 1);
    assert!(polled(&mut alone).is_none());
    lines.refuse_all();
    assert!(matches!(polled(&mut alone), Some(None)), "those who stand behind it are sent away, too");
    drop(aside);
    assert_eq!(lines.counts(), (0, 0));
    drop(seated(&mut taking(&lines, 1)));
}

#[test]
fn a_full_queue_refuses_the_flood_and_makes_room_for_others() {
    let lines = lines(1, 4);
    let seat = seated(&mut taking(&lines, 1));
    let mut flood: Vec<_> = (0..4).map(|_| taking(&lines, 1)).collect();
    assert!(flood.iter_mut().all(|one| polled(one).is_none()));
    assert!(matches!(polled(&mut taking(&lines, 1)), Some(None)), "refused at once");
    let (mut second, mut third) = (taking(&lines, 2), taking(&lines, 3));
    assert!(polled(&mut second).is_none() && polled(&mut third).is_none(), "they wait");
    assert_eq!(lines.counts(), (1, 4));
    let refused: Vec<bool> = flood.iter_mut().map(|one| matches!(polled(one), Some(None))).collect();
    assert_eq!(refused, [false, false, true, true], "the newest of the flood went");
    assert!(matches!(polled(&mut taking(&lines, 2)), Some(None)), "it would have as many as the flood");
    drop((seat, flood, second, third));
    assert_eq!(lines.counts(), (0, 0));
}

#[test]
fn without_a_queue_nobody_waits() {
    let lines = lines(1, 0);
    let seat = seated(&mut taking(&lines, 1));
    assert!(matches!(polled(&mut taking(&lines, 2)), Some(None)));
    drop(seat);
    drop(seated(&mut taking(&lines, 2)));
}

#[test]
fn all_who_wait_can_be_sent_away() {
    let lines = lines(1, 100);
    let seat = seated(&mut taking(&lines, 1));
    let mut waiting: Vec<_> = (0..20).map(|n| taking(&lines, n % 3)).collect();
    assert!(waiting.iter_mut().all(|one| polled(one).is_none()));
    lines.refuse_all();
    assert!(waiting.iter_mut().all(|one| matches!(polled(one), Some(None))));
    drop(seat);
    assert_eq!(lines.counts(), (0, 0));
}

proptest! {
    /// Whoever comes, gives up and ends in whatever order: no seat is lost, none is made, and nobody is passed over for more than
    /// a round.
    #[test]
    fn seats_are_neither_lost_nor_made_and_turns_are_fair(
        most in 1..5_usize,
        max_waiting in prop_oneof![0..6_usize, Just(1_000)],
        steps in prop::collection::vec((0..4_u8, 0..5_u64, any::<prop::sample::Index>()), 1..200),
    ) {
        let lines = lines(most, max_waiting);
        let mut waiting: Vec<(u64, Taking<'_>)> = Vec::new();
        let mut seats: Vec<Seat> = Vec::new();
        // how many others of a tenant were served since it began to wait without a break
        let mut passed: HashMap<u64, HashMap<u64, usize>> = HashMap::new();
        for (step, tenant, index) in steps {
            match step {
                0 | 1 => {
                    let mut one = taking(&lines, tenant);
                    match polled(&mut one) {
                        None => waiting.push((tenant, one)),
                        Some(Some(seat)) => seats.push(seat),
                        Some(None) => {}
                    }
                }
                2 if !seats.is_empty() => drop(seats.swap_remove(index.index(seats.len()))),
                3 if !waiting.is_empty() => drop(waiting.swap_remove(index.index(waiting.len()))),
                _ => {}
            }
            let mut still = Vec::new();
            for (tenant, mut one) in waiting {
                match polled(&mut one) {
                    None => still.push((tenant, one)),
                    Some(None) => {}
                    Some(Some(seat)) => {
                        seats.push(seat);
                        passed.remove(&tenant);
                        for (other, by) in &mut passed {
                            if *other != tenant {
                                *by.entry(tenant).or_default() += 1;
                            }
                        }
                    }
                }
            }
            waiting = still;
            passed.retain(|tenant, _| waiting.iter().any(|(other, _)| other == tenant));
            for (tenant, _) in &waiting {
                passed.entry(*tenant).or_default();
            }
            for (tenant, by) in &passed {
                prop_assert!(by.values().all(|times| *times <= 1), "{tenant} was passed over: {by:?}");
            }
            prop_assert!(seats.len() <= most);
            prop_assert_eq!(lines.counts(), (seats.len(), waiting.len()));
            prop_assert!(waiting.is_empty() || seats.len() == most, "a seat is free and somebody waits");
            prop_assert!(waiting.len() <= max_waiting);
        }
        drop((waiting, seats));
        prop_assert_eq!(lines.counts(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_while_the_rate_holds_it_leaves_its_turn_to_the_next() {
    let hand = Arc::new(Hand::default());
    let clock: Arc<dyn Clock> = Arc::clone(&hand) as _;
    let lines = Arc::new(Lines::new(4, 100, Some(10), &clock));
    let first = lines.take(1, None).await;
    assert!(first.is_some(), "the first begins at once");
    let (mut second, mut third) = (taking(&lines, 1), taking(&lines, 1));
    assert!(polled(&mut second).is_none() && polled(&mut third).is_none());
    assert_eq!(lines.counts(), (2, 1), "one waits for the rate, the other for the one");
    drop(second);
    assert!(polled(&mut third).is_none());
    assert_eq!(lines.counts(), (2, 0));
    hand.0.store(100, SeqCst);
    assert!(third.await.is_some());
    drop(first);
    assert_eq!(lines.counts(), (0, 0));
}
