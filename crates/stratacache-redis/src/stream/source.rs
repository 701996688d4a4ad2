//! Who delivers, what is new, and what was applied.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use redis::Value;
use stratacache_core::{
    Error, ErrorKind, Result,
    follow::{Batch, InvalidationSource, Lag, NextChanges, Position, SetAside},
};
use tokio::time::{sleep, timeout};

use super::{
    RedisStream, access,
    entry::{changes, position},
    history::{Extent, History},
    keys::Keys,
};
use crate::{
    access::explain,
    link::{Command, Failure, Link, bytes, jitter, list, number},
    scripts::Script,
};

/// How long the right to deliver lasts that is not renewed. Each look renews it.
const LOCK: Duration = Duration::from_secs(10);
/// How often one that stands by asks for it.
const STANDBY: Duration = Duration::from_secs(1);
/// Entries that are set aside and kept, about.
const POISON_KEPT: u64 = 10_000;
/// Entries of one look, at most: a look is one answer of the server.
const MOST: usize = 512;

struct Scripts {
    take: Arc<Script>,
    read: Arc<Script>,
    note: Arc<Script>,
    aside: Arc<Script>,
    lag: Arc<Script>,
    release: Arc<Script>,
}

pub(super) struct Stream {
    pub(super) name: String,
    link: Link,
    keys: Keys,
    scripts: Scripts,
    /// By which the lock is ours.
    token: String,
    poll: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    history: History,
    delivers: bool,
    gap: bool,
    took_over: bool,
    closed: bool,
}

const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])";

impl Stream {
    pub(super) fn new(link: Link, keys: Keys, poll: Duration) -> Result<Self> {
        let mut token = [0_u8; 16];
        getrandom::fill(&mut token)
            .map_err(|e| Error::new(ErrorKind::Internal, "the system gives no random bytes").with_source(e))?;
        let scripts = Scripts {
            take: Script::of(include_str!("take.lua")),
            read: Script::of(include_str!("read.lua")),
            note: Script::of(include_str!("note.lua")),
            aside: Script::of(include_str!("aside.lua")),
            lag: Script::of(include_str!("lag.lua")),
            release: Script::of(RELEASE),
        };
        let token = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("redis stream {}", keys.consumer);
        Ok(Self { name, link, keys, scripts, token, poll, state: Mutex::default() })
    }

    /// Tries every permission, and asks once.
    pub(super) async fn check(&self, cluster: bool) -> Result<()> {
        access::try_commands(&self.link, &self.keys, cluster).await.map_err(|failure| self.explained(failure))?;
        self.ask_for_lag().await.map(|_| ())
    }

    /// Makes an error that says what to grant where that is what is missing.
    fn explained(&self, failure: Failure) -> Error {
        explain(failure, "the stream", &access::acl(&self.keys))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, script: &Arc<Script>, keys: &[&str], args: Vec<String>) -> Result<Value> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let command = Command::script(script, keys, args.into_iter().map(Bytes::from).collect());
        let answer = self.link.call(self.keys.slot, &[command]).await;
        answer.and_then(|(_, answer)| answer.one()).map_err(|failure| self.explained(failure))
    }

    fn check_open(&self) -> Result<()> {
        if self.state().closed { Err(Error::new(ErrorKind::Closed, "the stream was closed")) } else { Ok(()) }
    }

    async fn look(&self, limit: usize) -> Result<Batch> {
        self.check_open()?;
        if !self.state().delivers && !self.take().await? {
            return Ok(Batch::standby());
        }
        let read = self.state().history.read();
        let args = vec![self.token.clone(), millis(LOCK), read.to_string(), limit.min(MOST).to_string()];
        let reply = self.call(&self.scripts.read, &[&self.keys.lock, &self.keys.stream], args).await?;
        let Some((extent, now, entries)) = looked(reply)? else {
            self.state().delivers = false;
            return Ok(Batch::standby());
        };
        let mut state = self.state();
        if state.history.is_broken(&extent) {
            state.history.begin_anew(&extent);
            state.gap = true;
            // from the beginning of what is there
            return Ok(Batch::of(Vec::new()));
        }
        let changes = changes(entries, now)?;
        if let Some(last) = changes.last() {
            state.history.note(last.position, changes.len() as u64);
        }
        let batch = Batch::of(changes);
        Ok(match std::mem::take(&mut state.gap) {
            true => batch.after_gap("entries were trimmed before they were read, or the stream was deleted"),
            false => batch,
        })
    }

    /// Becomes the one that delivers, if nobody is.
    async fn take(&self) -> Result<bool> {
        let args = vec![self.token.clone(), millis(LOCK)];
        let reply = self.call(&self.scripts.take, &[&self.keys.lock, &self.keys.consumer], args).await?;
        let mut reply = list(reply)?.into_iter();
        if reply.next().map(number).transpose()? != Some(1) {
            return Ok(false);
        }
        let text = |value: Option<Value>| value.map(bytes).transpose().map(Option::unwrap_or_default);
        let (at, ordinal) = (text(reply.next())?, text(reply.next())?);
        let ordinal = std::str::from_utf8(&ordinal).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut state = self.state();
        if let Some(at) = position(&at) {
            state.history.resume(at, ordinal);
        }
        (state.delivers, state.took_over) = (true, true);
        tracing::debug!(source = self.name, "delivers");
        Ok(true)
    }

    async fn until_something(&self, limit: usize, standby: &mut bool) -> Result<Batch> {
        loop {
            let batch = self.look(limit).await?;
            *standby = batch.standby;
            let (gap, took_over) = {
                let mut state = self.state();
                (state.gap, !batch.standby && std::mem::take(&mut state.took_over))
            };
            if gap {
                continue;
            }
            if !batch.changes.is_empty() || batch.gap.is_some() || took_over {
                return Ok(batch);
            }
            sleep(if batch.standby { jitter(STANDBY) } else { self.poll }).await;
        }
    }

    async fn ask_for_lag(&self) -> Result<Lag> {
        let reply = self.call(&self.scripts.lag, &[&self.keys.stream, &self.keys.consumer], Vec::new()).await?;
        let mut reply = list(reply)?.into_iter();
        let (Some(count), Some(age)) = (reply.next(), reply.next()) else {
            return Err(Failure::Garbled("a lag").into());
        };
        Ok(Lag::new(number(count)?, Duration::from_millis(number(age)?)))
    }
}

/// Takes apart what a look has brought; `None` when another delivers.
fn looked(reply: Value) -> Result<Option<(Extent, u64, Value)>, Failure> {
    let mut reply = list(reply)?.into_iter();
    let mut next = || reply.next().ok_or(Failure::Garbled("a look at a stream"));
    if number(next()?)? == 0 {
        return Ok(None);
    }
    let (added, length, last) = (number(next()?)?, number(next()?)?, bytes(next()?)?);
    let last = position(&last).ok_or(Failure::Garbled("the last id of a stream"))?;
    let (now, entries) = (number(next()?)?, next()?);
    Ok(Some((Extent { added, length, last }, now, entries)))
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

impl InvalidationSource for RedisStream {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn next(&self, request: NextChanges) -> Result<Batch> {
        let mut standby = false;
        match timeout(request.wait, self.0.until_something(request.limit, &mut standby)).await {
            Ok(batch) => batch,
            Err(_) if standby => Ok(Batch::standby()),
            Err(_) => Ok(Batch::of(Vec::new())),
        }
    }

    async fn acknowledge(&self, through: Position) -> Result<()> {
        self.0.check_open()?;
        // where it is not known how many came before, the next batch says it
        let Some(ordinal) = self.0.state().history.ordinal_of(through) else { return Ok(()) };
        let args = vec![self.0.token.clone(), through.to_string(), ordinal.to_string()];
        let keys = &self.0.keys;
        self.0.call(&self.0.scripts.note, &[&keys.lock, &keys.consumer], args).await?;
        Ok(())
    }

    async fn set_aside(&self, changes: Vec<SetAside>) -> Result<()> {
        self.0.check_open()?;
        let keys = &self.0.keys;
        for some in changes.chunks(128) {
            let mut args = vec![POISON_KEPT.to_string()];
            args.extend(some.iter().flat_map(|change| [change.position.to_string(), change.reason.clone()]));
            self.0.call(&self.0.scripts.aside, &[&keys.stream, &keys.poison], args).await?;
        }
        Ok(())
    }

    async fn lag(&self) -> Result<Lag> {
        self.0.check_open()?;
        self.0.ask_for_lag().await
    }

    async fn close(&self) -> Result<()> {
        let delivers = {
            let mut state = self.0.state();
            state.closed = true;
            std::mem::take(&mut state.delivers)
        };
        if delivers {
            let lock = self.0.keys.lock.as_str();
            self.0.call(&self.0.scripts.release, &[lock], vec![self.0.token.clone()]).await?;
        }
        Ok(())
    }
}
