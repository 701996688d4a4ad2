//! Reading: what many tasks ask for at the same time goes in one pipeline, on the primary, with a write behind it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
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
const BATCH: usize = 128;
/// How many pipelines are under way to one server. While they are, the next one gathers.
const PIPELINES: usize = 2;

type Envelopes = Vec<Option<Bytes>>;
type Waiting = oneshot::Receiver<Result<Envelopes, Failure>>;

struct Job {
    names: Vec<EntryName>,
    latest: bool,
    until: Duration,
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
    /// The reader of the only server, where there is only one.
    single: OnceLock<Arc<Reader>>,
    /// Dropped with the readers, which ends their tasks.
    spawner: Spawner,
}

impl Readers {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        let (readers, single) = (Mutex::default(), OnceLock::new());
        Self { core: Arc::clone(core), readers, single, spawner: Spawner::new() }
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

    /// Puts a question into the queue of its server. No timer runs for it: whoever is before it in the queue has an earlier
    /// deadline, and the pipeline it goes in has that of the oldest question in it.
    fn ask(&self, reader: &Reader, names: Vec<EntryName>, latest: bool, until: Duration) -> Result<Waiting, Failure> {
        if reader.node.breaker.is_open() {
            return Err(Failure::Open);
        }
        let (reply, waiting) = oneshot::channel();
        reader.jobs().push_back(Job { names, latest, until, reply });
        reader.more.notify_one();
        // close tells those who came before
        if self.spawner.is_closed() { Err(Failure::Closed) } else { Ok(waiting) }
    }

    pub(super) async fn get_many(&self, names: Vec<EntryName>, latest: bool) -> Result<Vec<Got>, TierError> {
        let until = self.core.link.until();
        if let Some(node) = self.core.link.single() {
            let reader = self.single.get_or_init(|| self.of(node));
            let envelopes = heard(self.ask(reader, names, latest, until)?).await?;
            return Ok(envelopes.into_iter().map(|envelope| Got::new(envelope, None)).collect());
        }
        let mut groups: Vec<(Arc<Node>, Vec<usize>)> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let node = self.core.link.owner(slot(&self.core.names.entry(*name)), until).await?;
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                Some((_, group)) => group.push(at),
                None => groups.push((node, vec![at])),
            }
        }
        let mut waiting = Vec::new();
        for (node, places) in groups {
            let of_node = places.iter().map(|at| names[*at]).collect();
            waiting.push((self.ask(&self.of(&node), of_node, latest, until)?, places));
        }
        let mut got: Vec<Got> = names.iter().map(|_| Got::default()).collect();
        for (waiting, places) in waiting {
            for (at, envelope) in places.into_iter().zip(heard(waiting).await?) {
                got[at].envelope = envelope;
            }
        }
        Ok(got)
    }
}

async fn heard(waiting: Waiting) -> Result<Envelopes, Failure> {
    // a reader that is gone was ended by close
    waiting.await.map_err(|_| Failure::Closed)?
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
        let until = jobs.iter().map(|job| job.until).min().unwrap_or_default();
        match fetch(core, &reader.node, &names, latest, until).await {
            Ok(envelopes) => {
                let mut envelopes = envelopes.into_iter();
                for job in jobs {
                    // whoever went away does not want it
                    let _ = job.reply.send(Ok(envelopes.by_ref().take(job.names.len()).collect()));
                }
            }
            Err(failure) => {
                for job in jobs {
                    let _ = job.reply.send(Err(failure.clone()));
                }
            }
        }
    }
}

/// Reads names of one server.
async fn fetch(
    core: &Arc<Core>,
    node: &Arc<Node>,
    names: &[EntryName],
    latest: bool,
    until: Duration,
) -> Result<Envelopes, Failure> {
    let Some(first) = names.first() else { return Ok(Vec::new()) };
    // a second time where the connection was another one than the history was asked by
    for ask in [latest, true] {
        let ask = ask || node.store(None, core.link.clock.now(), TRUST).is_none();
        let mut commands = gets(core, names);
        commands.push(behind(core, *first, ask));
        let mut answer = core.link.send(node, &commands, until).await?;
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
