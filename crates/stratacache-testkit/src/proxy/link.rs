//! What is known of one connection: what was read and not yet passed on, and which replies are awaited.

use std::{collections::VecDeque, mem, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    counts::add,
    fault::Loss,
    parse::{Garbage, Push, Replies, Request, Requests, push},
    shared::Shared,
    trips::Trips,
};

/// How many bytes are read ahead in each direction.
const HELD: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Link {
    from_client: BytesMut,
    requests: Requests,
    /// Commands to pass on.
    queue: VecDeque<Queued>,
    queued: usize,
    pub(super) client_ended: bool,
    from_server: BytesMut,
    replies: Replies,
    awaited: VecDeque<Awaited>,
    muted: Muted,
    subscribed: bool,
    plain: bool,
    trips: Trips,
}

#[derive(Debug)]
pub(super) struct Queued {
    bytes: Bytes,
    /// Of a command; none of what has no reply.
    args: Vec<Bytes>,
    /// None of what is excluded.
    trip: Option<u64>,
}

/// A reply that will come.
#[derive(Debug, Default)]
struct Awaited {
    trip: Option<u64>,
    lost: bool,
    delay: Option<Duration>,
}

/// A reply, a push or plain bytes.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    pub(super) trip: Option<u64>,
    pub(super) lost: bool,
    pub(super) delay: Option<Duration>,
}

/// `CLIENT REPLY`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Muted {
    #[default]
    No,
    Once,
    All,
}

enum Answer {
    Reply,
    None,
    Plain,
}

impl Link {
    pub(super) fn client_buffer(&mut self) -> &mut BytesMut {
        &mut self.from_client
    }

    pub(super) fn server_buffer(&mut self) -> &mut BytesMut {
        &mut self.from_server
    }

    pub(super) fn has_room_for_requests(&self) -> bool {
        // a command larger than that must still become whole
        self.queued == 0 || self.queued + self.from_client.len() < HELD
    }

    pub(super) fn has_requests(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Cuts what came from the client into commands; tells whether there are any.
    pub(super) fn take_in_requests(&mut self, shared: &Shared) -> bool {
        let before = self.queue.len();
        while !self.plain {
            match self.requests.next(&mut self.from_client) {
                Ok(Some(Request::Command(bytes, args))) => {
                    let trip = (!shared.counts.is_excluded(&args)).then(|| self.trips.read());
                    if let Some((_, true)) = trip {
                        shared.counts.round_trip();
                    }
                    self.enqueue(bytes, args, trip.map(|(trip, _)| trip));
                }
                Ok(Some(Request::Bytes(bytes))) => self.enqueue(bytes, Vec::new(), None),
                Ok(None) => break,
                Err(Garbage) => self.give_up(shared),
            }
        }
        if self.plain && !self.from_client.is_empty() {
            let bytes = self.from_client.split().freeze();
            self.enqueue(bytes, Vec::new(), None);
        }
        self.queue.len() > before
    }

    fn enqueue(&mut self, bytes: Bytes, args: Vec<Bytes>, trip: Option<u64>) {
        self.queued += bytes.len();
        self.queue.push_back(Queued { bytes, args, trip });
    }

    fn give_up(&mut self, shared: &Shared) {
        add(&shared.counts.unparsed);
        self.plain = true;
    }

    /// Notes that there was nothing left to read from the client.
    pub(super) fn client_is_dry(&mut self) {
        if self.from_client.is_empty() {
            self.trips.dry();
        }
    }

    /// Notes that a reply is about to be sent.
    pub(super) fn answer(&mut self, trip: u64) {
        self.trips.answer(trip, !self.from_client.is_empty());
    }

    /// Takes the next command to pass on; the inner `None` says that it is to be dropped with the connection.
    pub(super) fn next_request(&mut self, shared: &Shared) -> Option<Option<Bytes>> {
        let Queued { bytes, args, trip } = self.queue.pop_front()?;
        self.queued -= bytes.len();
        let Some(name) = args.first() else { return Some(Some(bytes)) };
        if self.plain {
            return Some(Some(bytes));
        }
        let fate = shared.fate(&args);
        if fate.loss == Some(Loss::Request) {
            add(&shared.counts.dropped_requests);
            return Some(None);
        }
        if trip.is_some() {
            shared.counts.forwarded(name);
        }
        match self.answer_to(&args) {
            Answer::Reply => {
                let lost = fate.loss == Some(Loss::Reply);
                self.awaited.push_back(Awaited { trip, lost, delay: fate.delay });
            }
            Answer::None => {}
            Answer::Plain => self.plain = true,
        }
        Some(Some(bytes))
    }

    fn answer_to(&mut self, args: &[Bytes]) -> Answer {
        let is = |at: usize, word: &str| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        let any = |words: &[&str]| words.iter().any(|word| is(0, word));
        if any(&["MONITOR", "SYNC", "PSYNC"]) {
            return Answer::Plain;
        }
        if any(&["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"]) {
            self.subscribed = true;
            return Answer::None;
        }
        if is(0, "CLIENT") && is(1, "REPLY") {
            if is(2, "ON") {
                self.muted = Muted::No;
            } else if is(2, "OFF") {
                self.muted = Muted::All;
            } else if is(2, "SKIP") && self.muted == Muted::No {
                self.muted = Muted::Once;
                return Answer::None;
            }
        }
        match self.muted {
            Muted::No => Answer::Reply,
            Muted::All => Answer::None,
            Muted::Once => {
                self.muted = Muted::No;
                Answer::None
            }
        }
    }

    /// Takes the next reply, push or plain bytes out of what came from the server.
    pub(super) fn next_arrived(&mut self, shared: &Shared) -> Option<Arrived> {
        let reply = if self.plain { Err(Garbage) } else { self.next_reply_or_push(shared) };
        match reply {
            Ok(None) => None,
            Ok(Some((bytes, Some(Push::Message)))) => Some(Arrived::unasked(bytes, shared.delay_of_message())),
            Ok(Some((bytes, Some(Push::Other)))) => Some(Arrived::unasked(bytes, shared.delay())),
            Ok(Some((bytes, None))) => Some(match self.awaited.pop_front() {
                Some(Awaited { trip, lost, delay }) => Arrived { bytes, trip, lost, delay },
                // the complaint of a server about what it could not read
                None => Arrived::unasked(bytes, shared.delay()),
            }),
            Err(Garbage) => {
                if !mem::replace(&mut self.plain, true) {
                    add(&shared.counts.unparsed);
                }
                let bytes = self.from_server.split().freeze();
                (!bytes.is_empty()).then(|| Arrived::unasked(bytes, shared.delay()))
            }
        }
    }

    /// Takes out what is not lost.
    fn next_reply_or_push(&mut self, shared: &Shared) -> Result<Option<(Bytes, Option<Push>)>, Garbage> {
        while let Some(bytes) = self.replies.next(&mut self.from_server)? {
            let push = push(&bytes, self.subscribed);
            if push == Some(Push::Message) && shared.loses_message() {
                add(&shared.counts.dropped_messages);
                continue;
            }
            return Ok(Some((bytes, push)));
        }
        Ok(None)
    }

    /// Returns what is left when the server has closed: the beginning of a reply.
    pub(super) fn rest(&mut self, shared: &Shared) -> Option<Arrived> {
        let bytes = self.from_server.split().freeze();
        (!bytes.is_empty()).then(|| Arrived::unasked(bytes, shared.delay()))
    }
}

impl Arrived {
    fn unasked(bytes: Bytes, delay: Option<Duration>) -> Self {
        Self { bytes, trip: None, lost: false, delay }
    }
}
