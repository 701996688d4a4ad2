//! Probes: a question goes to all nodes by pub/sub, and each answers on the channel of who asks.
//!
//! Questions and answers may be lost, and nothing rests on them. They come from whoever may publish under the prefix: sizes
//! and forms are checked, and every queue has a cap.

mod message;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use redis::{Cmd, Value};
use stratacache_core::{
    Error, Result,
    coordinator::{Answer, Question},
    stamp::Lane,
};
use tokio::sync::mpsc;

use super::Shared;
use crate::{
    core::token,
    health::Counters,
    link::{Command, Failure},
};
use message::Asked;

/// Most questions of this node that wait for answers.
const MOST: usize = 256;
/// Most answers that are taken for one.
const ANSWERS: usize = 256;
/// Most questions of other nodes that wait for their turn.
const QUEUE: usize = 64;

#[derive(Debug, Default)]
struct Open {
    answers: HashMap<u64, Vec<Answer>>,
    next: u64,
}

/// The questions of a node, and those it is asked.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Tells this node from the others.
    node: OnceLock<u64>,
    open: Mutex<Open>,
    queue: OnceLock<mpsc::Sender<Asked>>,
}

/// A question that waits for answers; dropped, it waits no more.
struct Pending<'a> {
    asks: &'a Asks,
    number: u64,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.asks.open().answers.remove(&self.number);
    }
}

impl Asks {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what tells this node from the others, once it has subscribed.
    pub(super) fn node(&self) -> Option<u64> {
        self.node.get().copied()
    }

    fn begin(&self) -> Option<Pending<'_>> {
        let mut open = self.open();
        if open.answers.len() >= MOST {
            return None;
        }
        open.next += 1;
        let number = open.next;
        open.answers.insert(number, Vec::new());
        Some(Pending { asks: self, number })
    }

    /// Takes an answer that came; false when it cannot be read.
    pub(super) fn answered(&self, bytes: &[u8]) -> bool {
        let Some((number, answer)) = message::read_answer(bytes) else { return false };
        if let Some(answers) = self.open().answers.get_mut(&number)
            && answers.len() < ANSWERS
            && answers.iter().all(|other| other.peer != answer.peer)
        {
            answers.push(answer);
        }
        true
    }
}

/// Begins to answer what other nodes ask.
pub(super) fn start(shared: &Arc<Shared>) -> Result<(), Failure> {
    let (sender, mut queue) = mpsc::channel::<Asked>(QUEUE);
    let node = token()? as u64;
    // a coordinator has one subscriber: nobody was here before
    let (node, _) = (shared.asks.node.get_or_init(|| node), shared.asks.queue.set(sender));
    let (task, node) = (Arc::clone(shared), *node);
    shared.spawner.start(async move {
        while let Some(asked) = queue.recv().await {
            let Some(finding) = task.subscriber().and_then(|subscriber| subscriber.answer(&asked.question)) else {
                continue;
            };
            let Some(bytes) = message::write_answer(asked.number, Answer::new(node, finding)) else { continue };
            let channel = task.core.names.answers(asked.asker);
            if let Err(failure) = publish(&task, &channel, &bytes).await {
                tracing::debug!(error = failure.message(), "the answer to a probe could not be sent");
            }
        }
    });
    Ok(())
}

/// Takes a question that came: it is answered when it is its turn.
pub(super) fn heard(shared: &Shared, bytes: &[u8]) {
    let counters = &shared.core.counters;
    let Some(asked) = Asked::read(bytes) else {
        Counters::add(&counters.garbled);
        return;
    };
    // one hears oneself, too
    if Some(asked.asker) != shared.asks.node()
        && let Some(queue) = shared.asks.queue.get()
        && queue.try_send(asked).is_err()
    {
        Counters::add(&counters.unheard);
    }
}

/// Asks the other nodes.
pub(super) async fn ask(shared: &Shared, question: Question, within: Duration) -> Result<Vec<Answer>> {
    let asks = &shared.asks;
    let asker = asks.node().ok_or_else(|| Error::invalid("subscribe before asking: nobody could answer"))?;
    let Some(pending) = asks.begin() else { return Ok(Vec::new()) };
    let bytes = Asked { asker, number: pending.number, question }.write();
    let sent = tokio::time::timeout(within, publish(shared, &shared.core.names.asks, &bytes));
    let (sent, ()) = tokio::join!(sent, tokio::time::sleep(within));
    sent.map_err(|_| Failure::Hung)??;
    shared.open()?;
    let answers = asks.open().answers.get_mut(&pending.number).map(std::mem::take);
    Ok(answers.unwrap_or_default())
}

/// Publishes by any server: those of a cluster pass it on to all.
async fn publish(shared: &Shared, channel: &str, bytes: &[u8]) -> Result<Value, Failure> {
    let mut command = Cmd::new();
    command.arg("PUBLISH").arg(channel).arg(bytes);
    let slot = shared.core.names.lane(Lane::GLOBAL).slot;
    shared.core.link.call(slot, &[Command::Plain(command)]).await?.1.one()
}

#[cfg(test)]
mod tests {
    use stratacache_core::coordinator::Finding;

    use super::*;

    fn answer(number: u64, peer: u64) -> Vec<u8> {
        message::write_answer(number, Answer::new(peer, Finding::Nothing)).unwrap()
    }

    #[test]
    fn each_node_answers_once_and_only_what_is_asked() {
        let asks = Asks::default();
        let pending = asks.begin().unwrap();
        assert!(asks.answered(&answer(pending.number, 7)));
        assert!(asks.answered(&answer(pending.number, 7)), "twice");
        assert!(asks.answered(&answer(pending.number + 1, 8)), "what nobody asked");
        assert!(!asks.answered(b"noise"));
        assert_eq!(asks.open().answers[&pending.number].len(), 1);
        drop(pending);
        assert!(asks.open().answers.is_empty(), "who goes away is forgotten");
    }

    #[test]
    fn answers_and_questions_have_a_cap() {
        let asks = Asks::default();
        let pending = asks.begin().unwrap();
        for peer in 0..2 * ANSWERS as u64 {
            asks.answered(&answer(pending.number, peer));
        }
        assert_eq!(asks.open().answers[&pending.number].len(), ANSWERS);
        let more: Vec<_> = (0..2 * MOST).filter_map(|_| asks.begin()).collect();
        assert_eq!(more.len(), MOST - 1);
    }
}
