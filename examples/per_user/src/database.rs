//! A data base of users, in memory, which counts what it is asked.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use stratacache::{Namespace, TenantId};
use tokio::sync::Semaphore;

/// Whose row it is, and which.
type Row = (Option<TenantId>, u32, &'static str);

#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rows: Mutex<BTreeMap<Row, String>>,
    queries: AtomicU64,
}

impl Database {
    fn rows<T>(&self, work: impl FnOnce(&mut BTreeMap<Row, String>) -> T) -> T {
        work(&mut self.0.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(SeqCst)
    }

    pub(crate) fn write(&self, tenant: &Namespace, user: u32, what: &'static str, value: &str) {
        self.rows(|rows| rows.insert((tenant.tenant().cloned(), user, what), value.to_owned()));
    }

    /// Erases all there is of a user.
    pub(crate) fn erase(&self, tenant: &Namespace, user: u32) {
        self.rows(|rows| rows.retain(|(of, whose, _), _| (of.as_ref(), *whose) != (tenant.tenant(), user)));
    }

    /// Reads one row of a user.
    pub(crate) async fn row(self, tenant: Namespace, user: u32, what: &'static str) -> io::Result<Option<String>> {
        self.0.queries.fetch_add(1, SeqCst);
        Ok(self.rows(|rows| rows.get(&(tenant.tenant().cloned(), user, what)).cloned()))
    }

    /// As [`row`](Self::row), but the answer is long on its way.
    pub(crate) async fn row_slowly(
        self,
        tenant: Namespace,
        user: u32,
        what: &'static str,
        gate: Arc<Gate>,
    ) -> io::Result<Option<String>> {
        let row = self.row(tenant, user, what).await?;
        gate.asked.add_permits(1);
        drop(gate.open.acquire().await.map_err(io::Error::other)?);
        Ok(row)
    }
}

/// Holds an answer back.
pub(crate) struct Gate {
    pub(crate) asked: Semaphore,
    pub(crate) open: Semaphore,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self { asked: Semaphore::new(0), open: Semaphore::new(0) })
    }
}
