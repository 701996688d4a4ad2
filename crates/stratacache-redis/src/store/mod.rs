//! The tier: entries, each under its lease.

mod read;
mod write;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::Value;
use stratacache_core::{
    EntryName,
    stamp::Incarnation,
    tier::{Capability, Fence, GetMany, Got, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind, Want},
};

use crate::{
    core::{Core, token},
    link::{Command, Failure, Node, bytes, number},
    names::slot,
    spawn,
};
use read::Readers;

/// How long a fence lives that was taken without asking, unless its taker says: as long as a load may take.
const FENCE_LIFE: Duration = Duration::from_secs(30);

/// Entries in Redis.
pub(crate) struct Store {
    core: Arc<Core>,
    readers: Readers,
    closed: AtomicBool,
}

impl Store {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { readers: Readers::new(&core), core, closed: AtomicBool::new(false) }
    }

    fn open(&self) -> Result<(), TierError> {
        if self.closed.load(Ordering::Acquire) { Err(Failure::Closed.into()) } else { Ok(()) }
    }

    /// Takes the lease of each name, whoever held it.
    async fn take(&self, names: Vec<EntryName>, life: Duration) -> Result<Vec<Got>, TierError> {
        let tokens: Vec<u128> = names.iter().map(|_| token()).collect::<Result<_, _>>()?;
        let life = Bytes::from(life.as_millis().max(1).to_string());
        let take = |(name, token): (&EntryName, &u128)| {
            let args = vec![Bytes::copy_from_slice(&token.to_le_bytes()), life.clone()];
            (*name, Command::script(&self.core.scripts.take, vec![self.core.names.lease(*name)], args))
        };
        let commands = names.iter().zip(&tokens).map(take).collect();
        let taken = each(&self.core, commands).await;
        // a name whose lease was not taken has no fence; if none has, that is an error
        let mut failure = None;
        let got = taken.into_iter().zip(tokens).map(|(taken, token)| match taken.and_then(number) {
            Ok(_) => Got::new(None, Some(Fence(token))),
            Err(error) => {
                failure = Some(error);
                Got::new(None, None)
            }
        });
        let got: Vec<Got> = got.collect();
        match failure {
            Some(failure) if got.iter().all(|got| got.fence.is_none()) => Err(failure.into()),
            _ => Ok(got),
        }
    }
}

/// Commands for one server, each with its place in the reply and the name it is about.
type Group = Vec<(usize, EntryName, Command)>;

/// Sends one command for each name, grouped by server, and returns the replies in order.
async fn each(core: &Arc<Core>, commands: Vec<(EntryName, Command)>) -> Vec<Result<Value, Failure>> {
    let mut groups: Vec<(Result<Arc<Node>, Failure>, Group)> = Vec::new();
    let until = core.link.until();
    for (at, (name, command)) in commands.into_iter().enumerate() {
        let node = core.link.owner(slot(&core.names.entry(name)), until).await;
        let same = |known: &Result<Arc<Node>, Failure>| match (known, &node) {
            (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
            (Err(_), Err(_)) => true,
            _ => false,
        };
        match groups.iter_mut().find(|(known, _)| same(known)) {
            Some((_, group)) => group.push((at, name, command)),
            None => groups.push((node, vec![(at, name, command)])),
        }
    }
    let count = groups.iter().map(|(_, group)| group.len()).sum();
    let mut replies: Vec<Result<Value, Failure>> = (0..count).map(|_| Err(Failure::Garbled("no reply"))).collect();
    let mut running = Vec::new();
    for (node, group) in groups {
        match node {
            Ok(node) => running.push(of_one(Arc::clone(core), node, group, until)),
            Err(failure) => group.iter().for_each(|(at, ..)| replies[*at] = Err(failure.clone())),
        }
    }
    let done = match running.len() {
        1 => vec![Some(running.remove(0).await)],
        _ => spawn::all(running).await,
    };
    for (at, reply) in done.into_iter().flatten().flatten() {
        replies[at] = reply;
    }
    replies
}

async fn of_one(
    core: Arc<Core>,
    node: Arc<Node>,
    group: Group,
    until: Duration,
) -> Vec<(usize, Result<Value, Failure>)> {
    let (places, commands): (Vec<(usize, EntryName)>, Vec<Command>) =
        group.into_iter().map(|(at, name, command)| ((at, name), command)).unzip();
    let values = match core.link.send(&node, &commands, until).await {
        Ok(answer) => answer.values,
        Err(failure) => return places.into_iter().map(|(at, _)| (at, Err(failure.clone()))).collect(),
    };
    let mut replies = Vec::with_capacity(values.len());
    for (((at, name), command), value) in places.into_iter().zip(commands).zip(values) {
        let reply = match crate::link::accepted(value) {
            // the slot has moved: follow it
            Err(Failure::Refused(refusal)) if refusal.to.is_some() => {
                match core.link.call(slot(&core.names.entry(name)), &[command]).await {
                    Ok((_, answer)) => answer.one(),
                    Err(failure) => Err(failure),
                }
            }
            reply => reply,
        };
        replies.push((at, reply));
    }
    replies
}

/// Reads the reply of REPLID.
fn history(reply: Value) -> Result<Incarnation, Failure> {
    let bytes: [u8; 8] = bytes(reply)?.try_into().map_err(|_| Failure::Garbled("REPLID"))?;
    Ok(Incarnation(u64::from_le_bytes(bytes)))
}

/// Asks a server for its history, with a write, and notes the answer.
pub(crate) async fn verify(core: &Core, node: &Node, key: String) -> Result<Incarnation, Failure> {
    let ask = Command::script(&core.scripts.replid, vec![key], Vec::new());
    let answer = core.link.send(node, &[ask], core.link.until()).await?;
    let (sent, epoch) = (answer.sent, answer.epoch);
    let store = history(answer.one()?)?;
    node.verify(store, sent, epoch);
    Ok(store)
}

impl Tier for Store {
    fn name(&self) -> &str {
        "redis"
    }

    fn capability(&self) -> Capability {
        Capability::new()
            .fenced(true)
            .leased(true)
            .shared(true)
            .self_guarded(true)
            .max_weight(self.core.max_weight)
            .deadline(self.core.link.deadline)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        self.open()?;
        match request.want {
            _ if request.names.is_empty() => Ok(Vec::new()),
            Want::Fence => self.take(request.names, request.life.unwrap_or(FENCE_LIFE)).await,
            _ => self.readers.get_many(request.names, request.latest).await,
        }
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        self.open()?;
        write::put_many(&self.core, request.items).await
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        self.open()?;
        write::remove_many(&self.core, request.names).await
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.open()?;
        for (node, _) in self.core.link.masters().await? {
            self.core.link.send(&node, &[Command::plain(&["PING"])], self.core.link.until()).await?.one()?;
        }
        Ok(())
    }

    fn used_bytes(&self) -> Option<u64> {
        None
    }

    async fn close(&self) -> Result<(), TierError> {
        match self.closed.swap(true, Ordering::AcqRel) {
            true => Err(TierError::new(TierErrorKind::Closed, "the redis tier was closed before")),
            false => {
                self.readers.close();
                Ok(())
            }
        }
    }
}
