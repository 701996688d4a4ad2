//! A data base that is slow, goes down and hangs on command, and counts what it is asked.

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use stratacache::millis;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Down,
    Hangs,
}

/// Each query takes 50 ms. Its answer is the number of the query, so that an old one is told from a new one.
#[derive(Clone)]
pub(crate) struct Database {
    state: State,
    queries: Arc<AtomicU64>,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self { state: State::Up, queries: Arc::default() }
    }

    /// Returns the same data base in another state.
    pub(crate) fn but(&self, state: State) -> Self {
        Self { state, ..self.clone() }
    }

    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(SeqCst)
    }

    pub(crate) async fn query(self) -> io::Result<u64> {
        let number = self.queries.fetch_add(1, SeqCst) + 1;
        match self.state {
            State::Up => tokio::time::sleep(millis(50)).await,
            State::Down => return Err(io::Error::other("the data base is down")),
            State::Hangs => pending().await,
        }
        Ok(number)
    }

    /// Asks for what is not there.
    pub(crate) async fn nothing(self) -> io::Result<Option<u64>> {
        self.query().await.map(|_| None)
    }
}
