//! Some connections, each used by one operation at a time.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use stratacache::tier::{TierError, TierErrorKind};
use tokio::sync::Semaphore;

use crate::{
    connection::{Broken, Connection},
    protocol::{Reply, Request},
};

/// The connections to a server.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    largest: u64,
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
}

/// What became of a batch: the replies that came, and why there are no more, if so.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) replies: Vec<Reply>,
    pub(crate) failure: Option<TierError>,
}

impl Pool {
    pub(crate) fn new(address: String, largest: u64, connections: u32) -> Self {
        Self {
            address,
            largest,
            turns: Semaphore::new(connections as usize),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends requests on a connection that nobody uses, and returns the replies. What `failure` says of requests without a reply: they
    /// may have been executed if it is [`TierErrorKind::ReplyLost`].
    ///
    /// # Errors
    /// [`TierErrorKind::Closed`], and [`TierErrorKind::Unavailable`] where nothing was sent.
    pub(crate) async fn exchange(&self, requests: &[Request]) -> Result<Exchanged, TierError> {
        if requests.is_empty() {
            let open = !self.closed.load(Ordering::SeqCst);
            return open.then_some(Exchanged { replies: Vec::new(), failure: None }).ok_or_else(closed);
        }
        let _turn = self.turns.acquire().await.map_err(|_| closed())?;
        let mut replies = Vec::with_capacity(requests.len());
        if let Some(used) = self.take_idle()? {
            match used.exchange(requests, &mut replies).await {
                Ok(connection) => {
                    self.give_back(connection);
                    return Ok(Exchanged { replies, failure: None });
                }
                // the server was restarted, or closed what was idle: the others are as old; to do it all again harms nothing
                Err(Broken::Io(_) | Broken::Ended) if replies.is_empty() => self.idle().clear(),
                Err(broken) => return Ok(Exchanged { replies, failure: Some(lost(&broken)) }),
            }
        }
        let opened = Connection::open(&self.address, self.largest).await;
        let fresh = opened.map_err(|error| {
            TierError::new(TierErrorKind::Unavailable, "memcached cannot be reached").with_source(error)
        })?;
        let failure = match fresh.exchange(requests, &mut replies).await {
            Ok(connection) => {
                self.give_back(connection);
                None
            }
            Err(broken) => Some(lost(&broken)),
        };
        Ok(Exchanged { replies, failure })
    }

    /// Refuses what comes from now on, and closes what is idle; what is under way ends, and its connection with it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.turns.close();
        self.idle().clear();
    }

    fn take_idle(&self) -> Result<Option<Connection>, TierError> {
        let mut idle = self.idle();
        if self.closed.load(Ordering::SeqCst) { Err(closed()) } else { Ok(idle.pop()) }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if !self.closed.load(Ordering::SeqCst) {
            idle.push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // whoever panicked left whole connections behind
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> TierError {
    TierError::new(TierErrorKind::Closed, "the memcached tier is closed")
}

/// What a connection that broke means for those whose reply did not come. It says nothing of keys.
fn lost(broken: &Broken) -> TierError {
    let why = match broken {
        Broken::Io(error) => error.to_string(),
        Broken::Ended => "it closed the connection".to_owned(),
        Broken::Nonsense(what) => (*what).to_owned(),
    };
    TierError::new(TierErrorKind::ReplyLost, format!("no reply of memcached: {why}"))
}
