//! The source of truth: a SQLite file with the contacts of many companies.

mod company;
mod error;
mod pool;
mod queries;
mod records;
mod seed;
mod session;

use std::{path::Path, sync::Arc};

use stratacache::TenantId;

pub(crate) use company::CompanyRows;
pub(crate) use error::DbError;
pub(crate) use records::{Contact, Draft, Page, StageTotals, Statistics};
pub(crate) use seed::{COMPANIES, company, contacts_of, pages_of};

use pool::Pool;
use session::Counters;

/// Connections that read at the same time. WAL lets them go on while somebody writes.
const READERS: usize = 4;

/// The handle of the data base. Cheap to clone; it gives no rows by itself: [`Db::of`] does, for one company.
#[derive(Clone)]
pub(crate) struct Db {
    readers: Pool,
    writer: Pool,
    counters: Arc<Counters>,
}

impl Db {
    /// Opens the file, and makes and fills it if it is not there.
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        let path = path.to_owned();
        let open = move || {
            let mut writer = pool::connect(&path, pool::Access::Write)?;
            seed::prepare(&mut writer)?;
            let readers = (0..READERS).map(|_| pool::connect(&path, pool::Access::Read));
            Ok::<_, DbError>((readers.collect::<Result<_, _>>()?, vec![writer]))
        };
        let (readers, writer) = tokio::task::spawn_blocking(open).await.map_err(|_| DbError::Interrupted)??;
        Ok(Self { readers: Pool::new(readers), writer: Pool::new(writer), counters: Arc::default() })
    }

    /// Returns the rows of one company.
    pub(crate) fn of(&self, company: &TenantId) -> CompanyRows {
        CompanyRows::new(self.clone(), company)
    }

    /// Returns how many SQL queries ran since the file was opened.
    pub(crate) fn queries(&self) -> u64 {
        self.counters.all()
    }

    /// Returns how often the slow aggregate ran since the file was opened.
    pub(crate) fn slow_queries(&self) -> u64 {
        self.counters.slow()
    }
}

#[cfg(test)]
mod tests;
