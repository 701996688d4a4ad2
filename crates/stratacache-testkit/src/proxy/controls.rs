//! The handle by which a test steers a proxy.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Command, Times,
    fault::{Loss, Rules},
    shared::{Shared, Switches},
};

/// Steers a [`FaultProxy`](super::FaultProxy); clones steer the same one.
///
/// What is switched on holds for the connections that are open and for those to come, from the next command or reply on.
#[derive(Clone)]
pub struct Controls(Arc<Shared>);

impl Controls {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Returns the seed, to print when a test fails.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Closes every connection that is open, with all that is under way in it, and waits until they are closed. Later
    /// ones are accepted.
    ///
    /// # Cancel safety
    /// Once polled, the connections are closed, also when it is dropped before it is ready.
    pub async fn cut(&self) {
        let next = self.0.connections.borrow().next;
        self.switch(|switches| switches.cut_below = switches.cut_below.max(next));
        let mut connections = self.0.connections.subscribe();
        // the sender lives in `self`, so the channel never closes
        connections.wait_for(|now| now.open.first().is_none_or(|first| *first >= next)).await.ok();
    }

    /// Closes new connections at once, or accepts them again. Those that are open stay.
    pub fn refuse(&self, refuse: bool) {
        self.switch(|switches| switches.refuse = refuse);
    }

    /// Accepts and reads and passes nothing on, in neither direction, until it is called with `false`; then everything
    /// that was held goes on its way, also what clients have sent that are gone by then.
    ///
    /// Up to 16 MiB are held for each connection and direction.
    pub fn hang(&self, hang: bool) {
        self.switch(|switches| switches.hang = hang);
    }

    /// Delays every reply and push by a duration drawn from a range; `None` ends that.
    ///
    /// Counted from when it came from the server, so that replies to a pipeline are late together; the order stays.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn delay(&self, range: Option<RangeInclusive<Duration>>) {
        range.iter().for_each(check);
        self.switch(|switches| switches.delay = range);
    }

    /// Delays the replies to some commands, instead of what [`delay`](Self::delay) says, until [`heal`](Self::heal).
    /// Replies that come later on the same connection wait behind them.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn delay_replies(&self, command: Command, range: RangeInclusive<Duration>) {
        check(&range);
        self.0.rules().delay(command, range);
    }

    /// Passes on so many bytes in a second, in each direction of each connection; `None` ends that.
    ///
    /// # Panics
    /// When it is 0: that is [`hang`](Self::hang).
    pub fn throttle(&self, bytes_per_s: Option<u64>) {
        assert_ne!(bytes_per_s, Some(0), "0 bytes in a second are never done: use `hang`");
        self.switch(|switches| switches.bytes_per_s = bytes_per_s);
    }

    /// Passes replies on byte by byte, each in a write of its own, so that a client sees them in pieces.
    pub fn split_bytes(&self, split: bool) {
        self.switch(|switches| switches.split = split);
    }

    /// Loses replies: the server carries the command out, and when its reply has come, the connection is closed instead.
    /// The client has received what was answered before, and nothing after.
    ///
    /// # Panics
    /// When a probability is not in [0, 1].
    pub fn drop_reply(&self, command: Command, times: Times) {
        self.lose(command, Loss::Reply, times);
    }

    /// Loses commands: the connection is closed before the server sees the command. What was sent before it was passed on,
    /// though its replies may be lost, too.
    ///
    /// # Panics
    /// When a probability is not in [0, 1].
    pub fn drop_request(&self, command: Command, times: Times) {
        self.lose(command, Loss::Request, times);
    }

    /// Loses messages of subscriptions: what somebody published comes from the server and is not passed on. Everything else
    /// is, confirmations of subscriptions among it, and the connection stays. Said again, only the last counts.
    ///
    /// # Panics
    /// When a probability is not in [0, 1].
    pub fn drop_messages(&self, times: Times) {
        times.check();
        self.0.rules().lose_messages(times);
    }

    /// Delays messages of subscriptions, instead of what [`delay`](Self::delay) says, until [`heal`](Self::heal). What comes
    /// later on the same connection waits behind them. Said again, only the last counts.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn delay_messages(&self, range: RangeInclusive<Duration>) {
        check(&range);
        self.0.rules().delay_messages(range);
    }

    /// Takes back everything: faults of commands and messages that have not happened yet, hanging, refusing, delays,
    /// throttling and splitting. Connections that are closed stay closed, the server and the counts stay as they are.
    pub fn heal(&self) {
        *self.0.rules() = Rules::default();
        self.switch(|switches| {
            let (upstream, cut_below) = (switches.upstream, switches.cut_below);
            *switches = Switches { cut_below, ..Switches::new(upstream) };
        });
    }

    /// Passes new connections on to another server. Those that are open stay with theirs, until a [`cut`](Self::cut).
    pub fn retarget(&self, upstream: SocketAddr) {
        self.switch(|switches| switches.upstream = upstream);
    }

    /// Leaves commands that are read from now on out of [`count`](Self::count), [`counts`](Self::counts),
    /// [`commands`](Self::commands) and [`round_trips`](Self::round_trips): those of the background.
    pub fn exclude(&self, command: Command) {
        self.0.counts.exclude(command);
    }

    /// Sets every count to 0.
    pub fn reset_counts(&self) {
        self.0.counts.reset();
    }

    /// Returns how many commands of a name, the first word, were passed on to a server.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts().get(&name.to_ascii_uppercase()).copied().unwrap_or(0)
    }

    /// Returns how many commands of each name, in capitals, were passed on to a server.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.counts.table_of_forwarded()
    }

    /// Returns how many commands were passed on to a server.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.counts().values().sum()
    }

    /// Returns how many round trips the clients began.
    ///
    /// A command belongs to the round trip of the command before it on its connection if the proxy could read it, at least
    /// its first byte, before it sent the first reply to a command of that round trip. And where a reply was sent while a
    /// command was half read, all commands up to the next moment at which there was nothing to read belong to it: a long
    /// pipeline is one round trip. Every other command begins a round trip.
    ///
    /// Several connections add up; so do commands sent side by side on several connections. Commands sent side by side on
    /// one connection are one round trip, as a pipeline is. Replies to excluded commands end none. A command counts when it
    /// is read, so that those count that hang or are dropped; those of a connection that is passed on as plain bytes do
    /// not.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        *self.0.counts.round_trips().borrow()
    }

    /// Waits until there were at least so many round trips; for ever, if they never come. For commands that hang.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it changes nothing.
    pub async fn until_round_trips(&self, trips: u64) {
        // the sender lives in `self`, so the channel never closes
        self.0.counts.round_trips().wait_for(|now| *now >= trips).await.ok();
    }

    /// Returns how many commands were lost by [`drop_request`](Self::drop_request).
    #[must_use]
    pub fn dropped_requests(&self) -> u64 {
        self.0.counts.dropped_requests.load(Ordering::SeqCst)
    }

    /// Returns how many replies were lost by [`drop_reply`](Self::drop_reply).
    #[must_use]
    pub fn dropped_replies(&self) -> u64 {
        self.0.counts.dropped_replies.load(Ordering::SeqCst)
    }

    /// Returns how many messages were lost by [`drop_messages`](Self::drop_messages).
    #[must_use]
    pub fn dropped_messages(&self) -> u64 {
        self.0.counts.dropped_messages.load(Ordering::SeqCst)
    }

    /// Returns how many connections are passed on as plain bytes because one side sent what is not this protocol.
    #[must_use]
    pub fn unparsed(&self) -> u64 {
        self.0.counts.unparsed.load(Ordering::SeqCst)
    }

    /// Returns how many connections were closed because the server did not accept one for them.
    #[must_use]
    pub fn failed_connects(&self) -> u64 {
        self.0.counts.failed_connects.load(Ordering::SeqCst)
    }

    /// Returns how many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.borrow().open.len()
    }

    fn lose(&self, command: Command, loss: Loss, times: Times) {
        times.check();
        self.0.rules().lose(command, loss, times);
    }

    fn switch(&self, change: impl FnOnce(&mut Switches)) {
        self.0.switches.send_modify(change);
    }
}

fn check(range: &RangeInclusive<Duration>) {
    assert!(!range.is_empty(), "no duration is in {range:?}");
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls")
            .field("seed", &self.0.seed)
            .field("switches", &*self.0.switches.borrow())
            .field("connections", &self.connections())
            .field("round_trips", &self.round_trips())
            .field("counts", &self.counts())
            .finish()
    }
}
