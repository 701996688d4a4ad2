//! What the processes of this example share: the database, and how the cache reads it.

use std::sync::Arc;

use stratacache::{Cached, Error, ErrorKind, Keyspace, Namespace, OutboxSql, Policy, SqlPart, hours};
use tokio_postgres::{Client, NoTls};

/// Why something failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The edition of a contact of a company. It lives for hours: only an invalidation makes a read new.
pub const CONTACTS: Keyspace<i64, i64> = Keyspace::new("contacts", Policy::ttl(hours(8)));

/// The table, and the trigger that writes what depends on a row into the outbox, whoever changes it and however.
///
/// # Errors
/// Never: all names in it are plain.
pub fn migration() -> stratacache::Result<String> {
    let sql = OutboxSql::new("strata")?;
    let trigger = sql.trigger("contacts").tenant("company").key("contacts", None, [SqlPart::column("id")]);
    let table = "CREATE TABLE IF NOT EXISTS contacts \
                 (company text, id bigint, edition bigint NOT NULL, PRIMARY KEY (company, id));\n";
    Ok(format!("{}{table}{}", sql.migration(), trigger.to_sql()?))
}

/// A connection to the database.
#[derive(Clone)]
pub struct Database(Arc<Client>);

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        #[allow(clippy::disallowed_methods)] // an application starts its tasks where it likes
        tokio::spawn(connection);
        Ok(Self(Arc::new(client)))
    }

    /// Runs statements.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn run(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.0.batch_execute(sql).await?)
    }

    /// Counts the rows of a query.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn count(&self, from: &str) -> Result<i64, Failure> {
        Ok(self.0.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await?.try_get(0)?)
    }

    /// Returns the edition of a contact; 0 for none.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn edition(&self, company: &str, id: i64) -> Result<i64, tokio_postgres::Error> {
        let sql = "SELECT edition FROM contacts WHERE company = $1 AND id = $2";
        Ok(self.0.query_opt(sql, &[&company, &id]).await?.map_or(0, |row| row.get(0)))
    }

    /// Makes the next edition of a contact, and returns it.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn next_edition(&self, company: &str, id: i64) -> Result<i64, Failure> {
        let sql = "INSERT INTO contacts VALUES ($1, $2, 1) ON CONFLICT (company, id) \
                   DO UPDATE SET edition = contacts.edition + 1 RETURNING edition";
        Ok(self.0.query_one(sql, &[&company, &id]).await?.try_get(0)?)
    }
}

/// Reads a contact through the cache.
///
/// # Errors
/// When it is not in the cache and the database fails.
pub async fn read(of: &Namespace, database: &Database, id: i64) -> Result<Cached<i64>, Failure> {
    let company = of.tenant().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "whose?"))?.as_str().to_owned();
    let database = database.clone();
    let load = async move || database.edition(&company, id).await;
    Ok(of.get_or_load(CONTACTS.key(&id), load).tag("all-contacts").await?)
}
