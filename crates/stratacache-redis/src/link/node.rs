//! One server: its connections, its breaker, and which history it says it is of.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{Pipeline, ServerErrorKind, Value, aio::MultiplexedConnection};
use stratacache_core::{
    breaker::{Breaker, Outcome, Turn, Turns},
    clock::Clock,
    stamp::Incarnation,
};

use tokio::time::timeout;

use super::{Answer, Command, Connection, Endpoint, Failure, Refusal};

/// What a server said about its history, and when it was asked.
#[derive(Debug, Clone, Copy)]
struct Verified {
    store: Incarnation,
    sent: Duration,
    epoch: u64,
}

/// A timer that fires later than this was late because this process stood still or is starved of its processor.
const LATE: Duration = Duration::from_millis(20);

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) breaker: Breaker,
    turns: Turns,
    clock: Arc<dyn Clock>,
    connections: Vec<Connection>,
    turn: AtomicUsize,
    epochs: Arc<AtomicU64>,
    verified: Mutex<Option<Verified>>,
    /// When an answer came last, in microseconds.
    answered: AtomicU64,
    deadline: Duration,
}

impl Node {
    pub(crate) fn new(
        endpoint: Endpoint,
        connections: usize,
        deadline: Duration,
        window: Duration,
        turns: Turns,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let epochs = Arc::new(AtomicU64::new(0));
        let connection = |_| Connection::new(endpoint.clone(), Arc::clone(&clock), Arc::clone(&epochs));
        Self {
            connections: (0..connections).map(connection).collect(),
            breaker: Breaker::new(Arc::clone(&clock)).window(window),
            turn: AtomicUsize::new(0),
            verified: Mutex::new(None),
            answered: AtomicU64::new(0),
            deadline,
            turns,
            endpoint,
            clock,
            epochs,
        }
    }

    /// Sends commands in one pipeline; the reply has one value for each, refusals among them.
    pub(crate) async fn send(&self, commands: &[Command], until: Duration) -> Result<Answer, Failure> {
        let permit = self.breaker.admit().ok_or(Failure::Open)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let connection = &self.connections[turn];
        let mut exchange = pin!(self.exchange(connection, commands));
        let mut result = timeout(until.saturating_sub(self.clock.now()), &mut exchange).await;
        if result.is_err() && self.clock.now() > until + LATE {
            // it was this node that did not come to anything: the answer may lie there
            result = timeout(LATE, &mut exchange).await;
        }
        let (outcome, result) = match result {
            Err(_) => {
                connection.drop_live(None);
                // who has answered anybody lately is slow, and does not hang; a call may begin with little time left.
                // Counted to when the time was over: this node may come to see that later
                let silent = micros(until).saturating_sub(self.answered.load(Ordering::Relaxed));
                let hung = silent >= micros(self.deadline);
                (Some(if hung { Outcome::Hung } else { Outcome::Failed }), Err(Failure::Hung))
            }
            Ok(Ok(answer)) => {
                self.answered.fetch_max(micros(self.clock.now()), Ordering::Relaxed);
                (Some(self.judge(&answer)), Ok(answer))
            }
            // between two attempts to connect nothing is tried, and nothing is learned
            Ok(Err(Failure::Waiting)) => (None, Err(Failure::Waiting)),
            Ok(Err(failure)) => (Some(Outcome::Failed), Err(failure)),
        };
        if let Some(turn) = outcome.and_then(|outcome| permit.settle(outcome)) {
            match turn {
                Turn::Opened => tracing::warn!(server = %self.endpoint, "redis does not answer and is left alone"),
                Turn::Closed => tracing::info!(server = %self.endpoint, "redis answers again"),
            }
            self.turns.tell(turn);
        }
        result
    }

    async fn exchange(&self, connection: &Connection, commands: &[Command]) -> Result<Answer, Failure> {
        let (number, mut live) = connection.get().await?;
        // of the server, not of the connection: when any of them is opened anew, the history is asked for anew
        let epoch = self.epochs.load(Ordering::Acquire);
        let sent = self.clock.now();
        let broken = |failure| {
            connection.drop_live(Some(number));
            failure
        };
        let mut values = pipeline(&mut live, commands.iter(), false).await.map_err(broken)?;
        let unknown =
            |value: &Value| matches!(value, Value::ServerError(e) if e.kind() == Some(ServerErrorKind::NoScript));
        let missing: Vec<usize> = (0..values.len()).filter(|at| unknown(&values[*at])).collect();
        if !missing.is_empty() {
            let again = missing.iter().map(|at| &commands[*at]);
            let answers = pipeline(&mut live, again, true).await.map_err(broken)?;
            for (at, value) in missing.into_iter().zip(answers) {
                values[at] = value;
            }
        }
        Ok(Answer { values, sent, epoch })
    }

    fn judge(&self, answer: &Answer) -> Outcome {
        let refusals = answer.values.iter().filter_map(|value| match value {
            Value::ServerError(error) => Some(Refusal::new(error)),
            _ => None,
        });
        let mut outcome = Outcome::Answered;
        for refusal in refusals {
            if refusal.is_no_primary() {
                outcome = Outcome::Failed;
            }
            if refusal.kind == Some(ServerErrorKind::ReadOnly) {
                // it was demoted: whoever is primary now is found by connecting again
                self.connections.iter().for_each(|connection| connection.drop_live(None));
            }
            if outcome == Outcome::Failed || refusal.to.is_some() {
                self.doubt();
            }
        }
        outcome
    }

    /// Notes what the server said about its history.
    pub(crate) fn verify(&self, store: Incarnation, sent: Duration, epoch: u64) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.is_none_or(|known| known.epoch < epoch || known.sent < sent) {
            *verified = Some(Verified { store, sent, epoch });
        }
    }

    /// Forgets what the server said about its history.
    pub(crate) fn doubt(&self) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the history that the server is of, if it said so by this connection and not too long before `at`.
    pub(crate) fn store(&self, epoch: Option<u64>, at: Duration, longest: Duration) -> Option<Incarnation> {
        let known = (*self.verified.lock().unwrap_or_else(PoisonError::into_inner))?;
        let now = self.epochs.load(Ordering::Acquire);
        let same = known.epoch == now && epoch.is_none_or(|epoch| epoch == now);
        (same && at.saturating_sub(known.sent) <= longest).then_some(known.store)
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

async fn pipeline(
    connection: &mut MultiplexedConnection,
    commands: impl Iterator<Item = &Command>,
    whole: bool,
) -> Result<Vec<Value>, Failure> {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command.to_cmd(whole));
    }
    let count = pipeline.len();
    let values = connection.send_packed_commands(&pipeline, 0, count).await.map_err(|e| Failure::lost(&e))?;
    if values.len() == count { Ok(values) } else { Err(Failure::Garbled("replies are missing")) }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("server", &self.endpoint).finish_non_exhaustive()
    }
}
