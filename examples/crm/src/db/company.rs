//! The rows of one company: SQL cannot be run without saying whose.

use std::sync::Arc;

use stratacache::{
    Policy, TenantId, hours, minutes,
    resource::{PageSource, QuerySource, Source, WritableSource, Written},
};

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
}

impl Source for CompanyRows {
    const NAME: &'static str = "contacts";
    const POLICY: Policy = Policy::ttl(minutes(10)).stale_if_error(hours(1));
    type Id = i64;
    type Item = Contact;
    type Error = DbError;

    fn id(contact: &Contact) -> i64 {
        contact.id
    }

    async fn one(&self, id: &i64) -> Result<Option<Contact>, DbError> {
        let id = *id;
        self.run(&self.db.readers, move |sql, company| sql.row(queries::CONTACT, (company, id), Contact::read)).await
    }
}

/// Pages of contacts, from 1; empty beyond the last.
impl PageSource for CompanyRows {
    type Page = u32;
    type Content = Page;

    async fn page(&self, number: &u32) -> Result<Page, DbError> {
        let number = *number;
        let offset = i64::from(number.saturating_sub(1)) * i64::from(Page::SIZE);
        self.run(&self.db.readers, move |sql, company| {
            let contacts = sql.rows(queries::PAGE, (company, Page::SIZE, offset), Contact::read)?;
            Ok(Page { number, contacts })
        })
        .await
    }
}

/// There is one query: what the company did and sold. It is slow.
impl QuerySource for CompanyRows {
    type Query = ();
    type Answer = Statistics;

    async fn query(&self, (): &()) -> Result<Statistics, DbError> {
        self.run(&self.db.readers, |sql, company| {
            Ok(Statistics { stages: sql.rows(queries::STATISTICS, (company,), StageTotals::read)? })
        })
        .await
    }
}

impl WritableSource for CompanyRows {
    /// A new contact, or another form of the one with an id.
    type Draft = (Option<i64>, Draft);

    async fn save(&self, (id, draft): Self::Draft) -> Result<Written<Contact>, DbError> {
        let Draft { name, email, city, stage } = draft;
        let written = self.run(&self.db.writer, move |sql, company| match id {
            None => sql.row(queries::CREATE, (company, name, email, city, stage), Contact::read),
            Some(id) => sql.row(queries::UPDATE, (company, id, name, email, city, stage), Contact::read),
        });
        Ok(written.await?.map_or_else(Written::nothing, Written::changed))
    }

    async fn delete(&self, id: &i64) -> Result<Written<Contact>, DbError> {
        let id = *id;
        let gone = self.run(&self.db.writer, move |sql, company| sql.execute(queries::DELETE, (company, id))).await?;
        Ok(if gone > 0 { Written::removed() } else { Written::nothing() })
    }

    /// Each write is one statement, which SQLite does wholly or not at all.
    fn wrote_nothing(error: &DbError) -> bool {
        !matches!(error, DbError::Interrupted)
    }
}
