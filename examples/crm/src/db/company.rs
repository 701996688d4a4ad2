//! The rows of one company: SQL cannot be run without saying whose.

use std::sync::Arc;

use stratacache::TenantId;

use super::{Contact, Db, DbError, Draft, Page, StageTotals, Statistics, pool::Pool, queries, session::Session};

/// The door to the rows of one company, as a `Namespace` is the door to what is cached of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CompanyRows {
    db: Db,
    company: TenantId,
}

impl CompanyRows {
    pub(super) fn new(db: Db, company: &TenantId) -> Self {
        Self { db, company: company.clone() }
    }

    async fn run<T, F>(&self, pool: &Pool, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Session<'_>, &str) -> Result<T, DbError> + Send + 'static,
    {
        let (counters, company) = (Arc::clone(&self.db.counters), self.company.clone());
        pool.run(move |connection| work(&Session::new(connection, &counters), company.as_str())).await
    }

    /// Returns a page of contacts, from 1; empty beyond the last.
    pub(crate) async fn page(&self, number: u32) -> Result<Page, DbError> {
        let offset = i64::from(number.saturating_sub(1)) * i64::from(Page::SIZE);
        self.run(&self.db.readers, move |sql, company| {
            let contacts = sql.rows(queries::PAGE, (company, Page::SIZE, offset), Contact::read)?;
            Ok(Page { number, contacts })
        })
        .await
    }

    /// Returns a contact.
    pub(crate) async fn contact(&self, id: i64) -> Result<Option<Contact>, DbError> {
        self.run(&self.db.readers, move |sql, company| sql.row(queries::CONTACT, (company, id), Contact::read)).await
    }

    /// Returns what the company did and sold. Slow.
    pub(crate) async fn statistics(&self) -> Result<Statistics, DbError> {
        self.run(&self.db.readers, |sql, company| {
            Ok(Statistics { stages: sql.rows(queries::STATISTICS, (company,), StageTotals::read)? })
        })
        .await
    }

    /// Adds a contact.
    pub(crate) async fn create(&self, draft: Draft) -> Result<Contact, DbError> {
        let written = self
            .run(&self.db.writer, move |sql, company| {
                let Draft { name, email, city, stage } = draft;
                sql.row(queries::CREATE, (company, name, email, city, stage), Contact::read)
            })
            .await?;
        written.ok_or(DbError::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    }

    /// Changes a contact and returns it; `None` if there is no such contact.
    pub(crate) async fn update(&self, id: i64, draft: Draft) -> Result<Option<Contact>, DbError> {
        self.run(&self.db.writer, move |sql, company| {
            let Draft { name, email, city, stage } = draft;
            sql.row(queries::UPDATE, (company, id, name, email, city, stage), Contact::read)
        })
        .await
    }

    /// Removes a contact; `false` if there is no such contact.
    pub(crate) async fn delete(&self, id: i64) -> Result<bool, DbError> {
        self.run(&self.db.writer, move |sql, company| Ok(sql.execute(queries::DELETE, (company, id))? > 0)).await
    }
}
