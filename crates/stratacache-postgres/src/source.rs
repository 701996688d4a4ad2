//! The outbox as a source of changes: who delivers, from where, and when to look again.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use stratacache_core::{
    Error, ErrorKind, Result,
    follow::{Batch, InvalidationSource, Lag, NextChanges, Position, SetAside},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{OutboxPoison, PostgresOutbox, connect::Connector, session::Session, sql::Names};

/// How often one that stands by asks for the lock, at most; it is asked for between half of it and all.
const STANDBY: Duration = Duration::from_secs(1);
/// After a notification without a row, the outbox is looked into again after so long, then after twice as long.
const HELD_BACK: Duration = Duration::from_millis(10);

pub(crate) struct Outbox {
    pub(crate) name: String,
    connector: Connector,
    names: Names,
    consumer: String,
    poll: Duration,
    max_poison: u32,
    heard: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The last position that was returned.
    read: Position,
    gap: Option<&'static str>,
    /// It delivers from now on, which is not told yet.
    took_over: bool,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(
        connector: Connector,
        names: Names,
        schema: &str,
        consumer: String,
        poll: Duration,
        max_poison: u32,
    ) -> Self {
        let name = format!("postgres {schema}/{consumer}");
        Self { name, connector, names, consumer, poll, max_poison, heard: Arc::default(), state: Mutex::default() }
    }

    /// Connects once and looks whether all is there.
    pub(crate) async fn check(&self) -> Result<()> {
        let session = self.session().await?;
        session.check(&self.connector, &self.names).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session, a new one if there is none. Only `next` and `check` do, which never run at once.
    async fn session(&self) -> Result<Arc<Session>> {
        if let Ok(session) = self.open_session() {
            return Ok(session);
        }
        let session = Arc::new(Session::open(&self.connector).await?);
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        state.session = Some(Arc::clone(&session));
        Ok(session)
    }

    fn open_session(&self) -> Result<Arc<Session>> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        if state.session.as_ref().is_some_and(|session| session.is_over()) {
            state.session = None;
        }
        let none = || Error::new(ErrorKind::Unavailable, "the connection to Postgres is down; it is made again");
        state.session.clone().ok_or_else(none)
    }

    /// Lets go of a session after a failure: what it still waits for must not meet a later question.
    fn forget(&self, session: &Arc<Session>) {
        let mut state = self.state();
        if state.session.as_ref().is_some_and(|there| Arc::ptr_eq(there, session)) {
            state.session = None;
        }
    }

    /// Does something with the session that is there.
    async fn with<'a, T, F>(&'a self, call: impl FnOnce(Arc<Session>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'a,
    {
        let session = self.open_session()?;
        let result = call(Arc::clone(&session)).await;
        if result.is_err() {
            self.forget(&session);
        }
        result
    }

    /// Counts what was set aside.
    pub(crate) async fn poison(&self) -> Result<OutboxPoison> {
        let Self { connector, names, consumer, .. } = self;
        self.with(async move |session| session.poison(connector, names, consumer).await).await
    }

    /// Becomes the one that delivers, if nobody is.
    async fn takes(&self, session: &Session) -> Result<bool> {
        if session.delivers.load(Relaxed) {
            return Ok(true);
        }
        let Some(taken) = session.take(&self.connector, &self.names, &self.consumer).await? else { return Ok(false) };
        let from = taken.acknowledged.max(self.state().read);
        if from.major() >= taken.next_xid {
            // transactions are numbered anew: a database that was restored from a dump
            session.restart(&self.connector, &self.names, &self.consumer).await?;
            let mut state = self.state();
            state.read = Position::START;
            state.gap = Some("the database has another history than the position of the consumer");
        } else {
            self.state().read = from;
        }
        self.state().took_over = true;
        tracing::debug!(source = self.name, "delivers");
        Ok(true)
    }

    async fn try_next(&self, limit: usize) -> Result<Batch> {
        let session = self.session().await?;
        let delivered = self.deliver(&session, limit).await;
        if delivered.is_err() {
            self.forget(&session);
        }
        delivered
    }

    async fn deliver(&self, session: &Session, limit: usize) -> Result<Batch> {
        if !self.takes(session).await? {
            return Ok(Batch::standby());
        }
        session.listen(&self.connector, &self.names, &self.heard).await;
        let after = self.state().read;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let changes = session.changes(&self.connector, &self.names, after, limit).await?;
        let mut state = self.state();
        if let Some(last) = changes.last() {
            state.read = last.position;
        }
        let batch = Batch::of(changes);
        Ok(match state.gap.take() {
            Some(reason) => batch.after_gap(reason),
            None => batch,
        })
    }

    /// Looks again and again until there is something.
    async fn until_something(&self, limit: usize, standby: &mut bool) -> Result<Batch> {
        let mut held_back = self.poll;
        loop {
            let batch = self.try_next(limit).await?;
            *standby = batch.standby;
            let took_over = !batch.standby && std::mem::take(&mut self.state().took_over);
            if !batch.changes.is_empty() || batch.gap.is_some() || took_over {
                return Ok(batch);
            }
            if batch.standby {
                sleep(STANDBY.mul_f64(0.5 + half())).await;
                continue;
            }
            tokio::select! {
                () = self.heard.notified() => held_back = HELD_BACK,
                () = sleep(held_back.min(self.poll)) => held_back = (held_back * 2).min(self.poll),
            }
        }
    }
}

/// Returns 0 to 0.5 at random.
fn half() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX) / 2.0
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the outbox was closed")
}

impl InvalidationSource for PostgresOutbox {
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
        let Outbox { connector, names, consumer, .. } = &*self.0;
        self.0.with(async move |session| session.acknowledge(connector, names, consumer, through).await).await
    }

    async fn set_aside(&self, changes: Vec<SetAside>) -> Result<()> {
        let Outbox { connector, names, consumer, max_poison, .. } = &*self.0;
        self.0
            .with(async move |session| session.set_aside(connector, names, consumer, &changes, *max_poison).await)
            .await
    }

    async fn lag(&self) -> Result<Lag> {
        let Outbox { connector, names, consumer, .. } = &*self.0;
        self.0.with(async move |session| session.lag(connector, names, consumer).await).await
    }

    async fn close(&self) -> Result<()> {
        let mut state = self.0.state();
        state.closed = true;
        // the connections end, and with the first of them the lock
        state.session = None;
        Ok(())
    }
}
