//! Reading: what many tasks ask for at the same time goes in one pipeline, on the primary, with a write behind it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use redis::Value;
use stratacache_core::{
    EntryName,
    stamp::Incarnation,
    tier::{Got, TierError},
};
use tokio::sync::{Notify, oneshot};

use super::history;
use crate::{
    core::Core,
    link::{Answer, Command, Failure, Node, accepted, command},
    names::slot,
    rules::Rule,
    spawn::{self, Spawner},
};

/// How long what a server said about its history is believed.
pub(super) const TRUST: Duration = Duration::from_secs(1);
/// Most names in one pipeline.
const BATCH: usize = 256;
/// How many pipelines are under way to one server. While they are, the next one gathers.
const PIPELINES: usize = 2;

type Envelopes = Vec<Option<Bytes>>;

struct Job {
    names: Vec<EntryName>,
    latest: bool,
    reply: oneshot::Sender<Result<Envelopes, Failure>>,
}

/// What waits for one server.
struct Reader {
    node: Arc<Node>,
    jobs: Mutex<VecDeque<Job>>,
    more: Notify,
}

impl Reader {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs();
        let mut names = 0;
        let mut taken = Vec::new();
        while let Some(job) = jobs.front() {
            if !taken.is_empty() && names + job.names.len() > BATCH {
                break;
            }
            names += job.names.len();
            taken.extend(jobs.pop_front());
        }
        if !jobs.is_empty() {
            self.more.notify_one();
        }
        taken
    }
}

/// The readers of all servers.
pub(super) struct Readers {
    core: Arc<Core>,
    readers: Mutex<HashMap<usize, Arc<Reader>>>,
    /// Dropped with the readers, which ends their tasks.
    spawner: Spawner,
}

impl Readers {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), readers: Mutex::default(), spawner: Spawner::new() }
    }

    fn of(&self, node: &Arc<Node>) -> Arc<Reader> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = readers.entry(Arc::as_ptr(node) as usize).or_insert_with(|| {
            let reader = Arc::new(Reader { node: Arc::clone(node), jobs: Mutex::default(), more: Notify::new() });
            for _ in 0..PIPELINES {
                let (core, reader) = (Arc::clone(&self.core), Arc::clone(&reader));
                self.spawner.start(async move { work(&core, &reader).await });
            }
            reader
        });
        Arc::clone(reader)
    }

    /// Ends the tasks, and tells those who wait.
    pub(super) fn close(&self) {
        self.spawner.close();
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .for_each(|(_, reader)| reader.jobs().clear());
    }

    pub(super) async fn get_many(&self, names: Vec<EntryName>, latest: bool) -> Result<Vec<Got>, TierError> {
        let until = self.core.link.until();
        let mut groups: Vec<(Arc<Node>, Vec<usize>)> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let node = match self.core.link.single() {
                Some(node) => Arc::clone(node),
                None => self.core.link.owner(slot(&self.core.names.entry(*name)), until).await?,
            };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                Some((_, group)) => group.push(at),
                None => groups.push((node, vec![at])),
            }
        }
        let mut waiting = Vec::new();
        for (node, places) in groups {
            if node.breaker.is_open() {
                return Err(Failure::Open.into());
            }
            let (reply, receiver) = oneshot::channel();
            let reader = self.of(&node);
            reader.jobs().push_back(Job { names: places.iter().map(|at| names[*at]).collect(), latest, reply });
            reader.more.notify_one();
            waiting.push((places, receiver));
        }
        let mut got: Vec<Got> = names.iter().map(|_| Got::default()).collect();
        for (places, receiver) in waiting {
            let left = until.saturating_sub(self.core.link.clock.now());
            // a reader that is gone was ended by close
            let answer = tokio::time::timeout(left, receiver).await.map_err(|_| Failure::Hung)?;
            for (at, envelope) in places.into_iter().zip(answer.map_err(|_| Failure::Closed)??) {
                got[at].envelope = envelope;
            }
        }
        Ok(got)
    }
}

async fn work(core: &Arc<Core>, reader: &Reader) {
    loop {
        let jobs = reader.take();
        if jobs.is_empty() {
            reader.more.notified().await;
            continue;
        }
        let names: Vec<EntryName> = jobs.iter().flat_map(|job| job.names.iter().copied()).collect();
        let latest = jobs.iter().any(|job| job.latest);
        let mut result = fetch(core, &reader.node, &names, latest).await;
        for job in jobs {
            let part = match &mut result {
                Ok(envelopes) => Ok(envelopes.drain(..job.names.len()).collect()),
                Err(failure) => Err(failure.clone()),
            };
            // whoever went away does not want it
            let _ = job.reply.send(part);
        }
    }
}

/// Reads names of one server.
async fn fetch(core: &Arc<Core>, node: &Arc<Node>, names: &[EntryName], latest: bool) -> Result<Envelopes, Failure> {
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    // a second time where the connection was another one than the history was asked by
    for ask in [latest, true] {
        let ask = ask || node.store(None, core.link.clock.now(), TRUST).is_none();
        let mut commands = gets(core, names);
        commands.push(behind(core, *first, ask));
        let mut answer = core.link.send(node, &commands, core.link.until()).await?;
        let Some(last) = answer.values.pop() else { return Err(Failure::Garbled("no reply")) };
        let store = match ask {
            true => match accepted(last) {
                // the slot of the first name has moved: the history is asked with each name below
                Err(Failure::Refused(refusal)) if refusal.to.is_some() => None,
                reply => {
                    let store = history(reply?)?;
                    node.verify(store, answer.sent, answer.epoch);
                    Some(store)
                }
            },
            false => match accepted(last) {
                Err(Failure::Refused(refusal)) if refusal.to.is_some() => None,
                reply => {
                    reply?;
                    match node.store(Some(answer.epoch), answer.sent, TRUST) {
                        Some(store) => Some(store),
                        None => continue,
                    }
                }
            },
        };
        return judged(core, names, answer, store).await;
    }
    Err(Failure::Away("the connection changes too often".to_owned()))
}

fn gets(core: &Core, names: &[EntryName]) -> Vec<Command> {
    if core.link.single().is_some() && names.len() > 1 {
        let keys: Vec<String> = names.iter().map(|name| core.names.entry(*name)).collect();
        let words: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain(keys.iter().map(|key| key.as_bytes())).collect();
        return vec![command(&words)];
    }
    names.iter().map(|name| Command::plain(&["GET", &core.names.entry(*name)])).collect()
}

/// What goes behind the GETs: a write that changes nothing, which a demoted primary refuses; with the question for the
/// server's history where that is due.
fn behind(core: &Core, name: EntryName, ask: bool) -> Command {
    let key = core.names.nothing(name);
    if ask {
        return Command::script(&core.scripts.replid, vec![key], Vec::new());
    }
    if core.rules.has(Rule::ShardWrites) { Command::plain(&["DEL", &key]) } else { Command::plain(&["GET", &key]) }
}

async fn judged(
    core: &Arc<Core>,
    names: &[EntryName],
    answer: Answer,
    store: Option<Incarnation>,
) -> Result<Envelopes, Failure> {
    let values = match answer.values.len() {
        1 if names.len() > 1 => crate::link::list(answer.one()?)?,
        _ => answer.values,
    };
    if values.len() != names.len() {
        return Err(Failure::Garbled("values are missing"));
    }
    let mut envelopes = Vec::with_capacity(names.len());
    let mut moved = Vec::new();
    for (at, value) in values.into_iter().enumerate() {
        envelopes.push(match (accepted(value), store) {
            (Ok(value), Some(store)) => envelope(core, value, store),
            (Err(Failure::Refused(refusal)), _) if refusal.to.is_none() => return Err(Failure::Refused(refusal)),
            _ => {
                moved.push(at);
                None
            }
        });
    }
    let follow = |at: &usize| follow(Arc::clone(core), names[*at]);
    for (at, found) in moved.iter().zip(spawn::all(moved.iter().map(follow).collect()).await) {
        envelopes[*at] = found.unwrap_or(Err(Failure::Closed))?;
    }
    Ok(envelopes)
}

/// Reads one name wherever its slot has gone.
async fn follow(core: Arc<Core>, name: EntryName) -> Result<Option<Bytes>, Failure> {
    let commands = [Command::plain(&["GET", &core.names.entry(name)]), behind(&core, name, true)];
    let (_, mut answer) = core.link.call(slot(&core.names.entry(name)), &commands).await?;
    let store = history(answer.values.pop().unwrap_or(Value::Nil))?;
    Ok(envelope(&core, answer.one()?, store))
}

/// Returns the envelope in a stored value, if it belongs to the history of the store.
fn envelope(core: &Core, value: Value, store: Incarnation) -> Option<Bytes> {
    let Value::BulkString(value) = value else { return None };
    let (made_for, _) = value.split_first_chunk::<8>()?;
    if *made_for != store.0.to_le_bytes() && core.rules.has(Rule::DataIncarnation) {
        return None;
    }
    Some(Bytes::from(value).slice(8..))
}
