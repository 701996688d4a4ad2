//! The flight table: one leader at a time, one outcome for everybody, nobody hangs.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use shuttle::{future::block_on, thread};
use stratacache_core::stamp::{Position, Stamp};

use crate::{
    flight::{Flight, FlightKey, FlightTable, Lead, Outcome, Role},
    runs::holds,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    Value(usize),
    Abandoned,
}

impl Outcome for Brought {
    fn abandoned() -> Self {
        Self::Abandoned
    }
}

type Table = Arc<FlightTable<u32>>;

fn enter(table: &Table, may_join: bool) -> Role<u32, Brought, ()> {
    let stamp = Stamp { lane: Position::default(), global: Position::default(), mep: 0, tenant: 0 };
    let key = FlightKey::new::<Brought>(1, 7, false, 0);
    table.join_or_lead(key, |_| may_join, || (Flight::new(stamp, 0, Default::default()), ()))
}

fn lead(table: &Table) -> Lead<u32, Brought> {
    match enter(table, false) {
        Role::Lead(lead, ()) => lead,
        Role::Join(_) => unreachable!("it may not join"),
    }
}

#[test]
fn there_is_one_leader_at_a_time_and_everybody_gets_one_outcome() {
    holds(|| {
        let table: Table = Arc::new(FlightTable::new());
        let (leading, led) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (table, leading, led) = (table.clone(), leading.clone(), led.clone());
                thread::spawn(move || match enter(&table, true) {
                    Role::Lead(lead, ()) => {
                        assert_eq!(leading.fetch_add(1, SeqCst), 0, "two lead one key");
                        thread::yield_now();
                        let n = led.fetch_add(1, SeqCst) + 1;
                        leading.fetch_sub(1, SeqCst);
                        lead.land(Brought::Value(n));
                        Brought::Value(n)
                    }
                    Role::Join(flight) => block_on(flight.wait()),
                })
            })
            .collect();
        let brought: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let led = led.load(SeqCst);
        assert!(brought.iter().all(|b| matches!(b, Brought::Value(n) if (1..=led).contains(n))), "{brought:?}");
        assert!((1..=led).all(|n| brought.contains(&Brought::Value(n))), "every leader brings what it loaded");
        assert_eq!(table.len(), 0);
    });
}

#[test]
fn a_lead_that_is_dropped_lands_as_abandoned_and_nobody_hangs() {
    holds(|| {
        let table: Table = Arc::new(FlightTable::new());
        let abandoned = lead(&table);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let table = table.clone();
                thread::spawn(move || match enter(&table, true) {
                    Role::Join(flight) => block_on(flight.wait()),
                    Role::Lead(lead, ()) => {
                        lead.land(Brought::Value(1));
                        Brought::Value(1)
                    }
                })
            })
            .collect();
        drop(abandoned);
        for waiter in waiters {
            // who came after the drop led, or joined who did
            assert!(matches!(waiter.join().unwrap(), Brought::Abandoned | Brought::Value(1)));
        }
        assert_eq!(table.len(), 0);
    });
}

#[test]
fn a_leader_that_was_displaced_does_not_remove_the_flight_that_took_its_place() {
    for lands in [true, false] {
        holds(move || {
            let table: Table = Arc::new(FlightTable::new());
            let first = lead(&table);
            let old = first.flight().clone();
            let waiter = thread::spawn(move || block_on(old.wait()));
            let other = thread::spawn(move || if lands { first.land(Brought::Value(1)) } else { drop(first) });
            let second = lead(&table);
            let new = second.flight().clone();
            thread::yield_now();
            match enter(&table, true) {
                Role::Join(found) => assert!(Arc::ptr_eq(&found, &new), "a reader joins the newer flight"),
                Role::Lead(..) => panic!("the newer flight was removed by the older one's leader"),
            }
            second.land(Brought::Value(2));
            assert_eq!(waiter.join().unwrap(), if lands { Brought::Value(1) } else { Brought::Abandoned });
            assert_eq!(block_on(new.wait()), Brought::Value(2));
            other.join().unwrap();
            assert_eq!(table.len(), 0);
        });
    }
}

/// A waker that counts, and whose clones can be counted.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn waiters_that_go_away_leave_no_wakers_and_those_that_stay_are_woken() {
    holds(|| {
        let table: Table = Arc::new(FlightTable::new());
        let lead = lead(&table);
        let waiters: Vec<_> = (0..3)
            .map(|n| {
                let flight = lead.flight().clone();
                thread::spawn(move || {
                    let bell = Arc::new(Bell::default());
                    {
                        let mut wait = pin!(flight.wait());
                        let waker = Waker::from(bell.clone());
                        for _ in 0..=n {
                            if wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                                break;
                            }
                            thread::yield_now();
                        }
                    }
                    // a flight that has landed may just be waking it, outside of its lock
                    let left = bell;
                    let stays = block_on(flight.wait());
                    (left, stays)
                })
            })
            .collect();
        lead.land(Brought::Value(1));
        for waiter in waiters {
            let (bell, stays) = waiter.join().unwrap();
            assert_eq!(stays, Brought::Value(1));
            assert_eq!(Arc::strong_count(&bell), 1, "a waker of somebody who went away is still held");
            assert!(bell.0.load(SeqCst) <= 1, "one landing wakes once");
        }
    });
}

#[test]
fn places_of_those_who_went_away_are_used_again_without_taking_those_of_others() {
    holds(|| {
        let table: Table = Arc::new(FlightTable::new());
        let lead = lead(&table);
        let flight = lead.flight().clone();
        let restless = thread::spawn({
            let flight = flight.clone();
            move || {
                for _ in 0..3 {
                    let bell = Waker::from(Arc::new(Bell::default()));
                    let mut wait = pin!(flight.wait());
                    let _ = wait.as_mut().poll(&mut Context::from_waker(&bell));
                }
            }
        });
        let patient: Vec<_> = (0..2)
            .map(|_| {
                let flight = flight.clone();
                thread::spawn(move || block_on(flight.wait()))
            })
            .collect();
        restless.join().unwrap();
        lead.land(Brought::Value(1));
        patient.into_iter().for_each(|p| assert_eq!(p.join().unwrap(), Brought::Value(1)));
    });
}
