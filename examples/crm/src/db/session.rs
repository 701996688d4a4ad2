//! One connection at work, with every query counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rusqlite::{Connection, Params, Row};

use super::{DbError, queries};

/// How many queries ran.
#[derive(Debug, Default)]
pub(super) struct Counters {
    all: AtomicU64,
    slow: AtomicU64,
}

impl Counters {
    pub(super) fn all(&self) -> u64 {
        self.all.load(Relaxed)
    }

    pub(super) fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    fn count(&self, sql: &str) {
        self.all.fetch_add(1, Relaxed);
        if sql == queries::STATISTICS {
            self.slow.fetch_add(1, Relaxed);
        }
    }
}

/// The only way to run SQL once the file is open.
pub(super) struct Session<'a> {
    connection: &'a Connection,
    counters: &'a Counters,
}

impl<'a> Session<'a> {
    pub(super) fn new(connection: &'a Connection, counters: &'a Counters) -> Self {
        Self { connection, counters }
    }

    /// Returns all rows.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DbError> {
        self.counters.count(sql);
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the only row, if there is one. Also for changes that return what they have written.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DbError> {
        self.counters.count(sql);
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let found = rows.next()?.map(row).transpose()?;
        // to its end, which is where a change is committed: an error there must not get lost
        while rows.next()?.is_some() {}
        Ok(found)
    }

    /// Returns how many rows were changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, DbError> {
        self.counters.count(sql);
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }
}
