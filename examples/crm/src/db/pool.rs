//! A few connections, and the threads that may block on them.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DbError;

/// Whether a connection may change the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Opens one connection.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, DbError> {
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        Access::Write => OpenFlags::default(),
    };
    let connection = Connection::open_with_flags(path, flags)?;
    // first of all: other processes work on the same file
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    if access == Access::Write {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    connection.pragma_update(None, "cache_size", -32 * 1024)?; // 32 MiB, so that a comparison is with a warm data base
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Connections that take turns.
#[derive(Clone)]
pub(super) struct Pool {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), permits }
    }

    /// Waits for a connection and works with it on a thread that may block.
    ///
    /// A caller that goes away does not stop the work, and the connection comes back in any case.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| DbError::Interrupted)?;
        let connection = self.idle.lock().pop();
        let lent = Lent { connection, idle: Arc::clone(&self.idle), _permit: permit };
        tokio::task::spawn_blocking(move || work(lent.connection.as_ref().ok_or(DbError::Interrupted)?))
            .await
            .map_err(|_| DbError::Interrupted)?
    }
}

/// A connection that goes back to the pool when the work is done, also by a panic.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    // dropped last, when the connection is back
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.idle.lock().extend(self.connection.take());
    }
}
