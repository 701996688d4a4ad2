//! What the connections of a proxy and its controls share.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    counts::Counts,
    fault::{Fate, Rules, within},
};
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    random: Random,
    rules: Mutex<Rules>,
    pub(super) switches: watch::Sender<Switches>,
    pub(super) connections: watch::Sender<Connections>,
    pub(super) counts: Counts,
}

/// What holds for all connections.
#[derive(Debug, Clone)]
pub(super) struct Switches {
    pub(super) upstream: SocketAddr,
    pub(super) refuse: bool,
    pub(super) hang: bool,
    pub(super) split: bool,
    pub(super) bytes_per_s: Option<u64>,
    pub(super) delay: Option<RangeInclusive<Duration>>,
    /// Connections with a smaller number are cut.
    pub(super) cut_below: u64,
}

impl Switches {
    pub(super) fn new(upstream: SocketAddr) -> Self {
        Self { upstream, refuse: false, hang: false, split: false, bytes_per_s: None, delay: None, cut_below: 0 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) next: u64,
    pub(super) open: BTreeSet<u64>,
}

impl Shared {
    pub(super) fn new(upstream: SocketAddr, seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            rules: Mutex::default(),
            switches: watch::Sender::new(Switches::new(upstream)),
            connections: watch::Sender::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.switches.borrow().refuse
    }

    /// Decides what happens to a command.
    pub(super) fn fate(&self, args: &[Bytes]) -> Fate {
        let mut fate = self.rules().draw(args, &self.random);
        fate.delay = fate.delay.or_else(|| self.delay());
        fate
    }

    /// Draws the delay of what is no reply to a command.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.switches.borrow().delay.as_ref().map(|range| within(range, &self.random))
    }

    /// Decides whether the next message of a subscription is lost.
    pub(super) fn loses_message(&self) -> bool {
        self.rules().loses_message(&self.random)
    }

    /// Draws the delay of a message of a subscription.
    pub(super) fn delay_of_message(&self) -> Option<Duration> {
        let delay = self.rules().delay_of_message(&self.random);
        delay.or_else(|| self.delay())
    }

    /// Waits while everything hangs.
    pub(super) async fn until_flowing(&self) {
        if self.switches.borrow().hang {
            // the sender lives in `self`, so the channel never closes
            self.switches.subscribe().wait_for(|switches| !switches.hang).await.ok();
        }
    }
}

/// A connection that is open; closed when this is dropped.
pub(super) struct Registered {
    shared: Arc<Shared>,
    number: u64,
}

impl Registered {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut number = 0;
        shared.connections.send_modify(|connections| {
            number = connections.next;
            connections.next += 1;
            connections.open.insert(number);
        });
        Self { shared, number }
    }

    /// Waits until it is cut.
    pub(super) async fn cut(&self) {
        let mut switches = self.shared.switches.subscribe();
        // the sender lives in `self`, so the channel never closes
        switches.wait_for(|switches| self.number < switches.cut_below).await.ok();
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.connections.send_modify(|connections| {
            connections.open.remove(&self.number);
        });
    }
}
