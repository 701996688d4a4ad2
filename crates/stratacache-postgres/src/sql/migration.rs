//! The tables of an outbox, and who may do what with them.

use stratacache_core::Result;

use super::{
    RowTrigger,
    name::{Names, checked},
};

/// The SQL of one outbox, as text: for a migration tool, or to be run once by hand. Postgres 14 or newer.
///
/// ```
/// use stratacache_postgres::OutboxSql;
///
/// let sql = OutboxSql::new("strata")?;
/// println!("{}\n{}", sql.migration(), sql.grants("app", "cache")?);
/// # Ok::<(), stratacache_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct OutboxSql {
    pub(super) names: Names,
    notify: bool,
}

impl OutboxSql {
    /// Names the schema in which everything of the outbox is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) unless it is 1 to 48 of `a-z`, `0-9` and `_`.
    pub fn new(schema: &str) -> Result<Self> {
        Ok(Self { names: Names::new(schema)?, notify: true })
    }

    /// Leaves out NOTIFY: followers see changes at their next poll.
    ///
    /// A transaction with a notification commits under a lock that all such transactions of the server share. Where thousands commit in
    /// a second, polling costs less.
    #[must_use]
    pub fn without_notify(mut self) -> Self {
        self.notify = false;
        self
    }

    /// Returns the migration. It may be run again, and changes nothing then.
    ///
    /// `invalidate(tenant, targets)` writes a change in the transaction that calls it; `targets` is the JSON of
    /// [`ChangeTarget`](stratacache_core::follow::ChangeTarget), and a `NULL` tenant is data of no tenant.
    #[must_use]
    pub fn migration(&self) -> String {
        let Names { schema, outbox, consumers, poison, invalidate, channel } = &self.names;
        let notify = if self.notify { format!("\n  SELECT pg_notify('{channel}', '');") } else { String::new() };
        format!(
            "\
CREATE SCHEMA IF NOT EXISTS {schema};

-- what has changed; rows go when every consumer has applied them
CREATE TABLE IF NOT EXISTS {outbox} (
  -- the transaction: numbers of rows alone become visible out of order
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  tenant text,
  targets jsonb NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (xid, id)
);

-- up to where each consumer has applied
CREATE TABLE IF NOT EXISTS {consumers} (
  name text PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT '0',
  id bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now()
);
-- how many rows of poison were dropped for newer ones
ALTER TABLE {consumers} ADD COLUMN IF NOT EXISTS poison_dropped bigint NOT NULL DEFAULT 0;

-- what nobody can apply, for an operator to look at and delete; of long targets, the beginning as a text
CREATE TABLE IF NOT EXISTS {poison} (
  consumer text NOT NULL,
  xid xid8 NOT NULL,
  id bigint NOT NULL,
  tenant text,
  targets jsonb NOT NULL,
  reason text NOT NULL,
  set_aside_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, xid, id)
);
CREATE INDEX IF NOT EXISTS poison_by_age ON {poison} (consumer, set_aside_at, xid, id);

CREATE OR REPLACE FUNCTION {invalidate}(tenant text, targets jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $strata$
  INSERT INTO {outbox} (tenant, targets) VALUES ($1, $2);{notify}
$strata$;

REVOKE ALL ON FUNCTION {invalidate}(text, jsonb) FROM PUBLIC;
"
        )
    }

    /// Returns what two roles need: the one that writes data, and the one that the cache connects as. They may be the same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for what is no plain name of a role.
    pub fn grants(&self, writer: &str, follower: &str) -> Result<String> {
        let (writer, follower) = (checked("role", writer)?, checked("role", follower)?);
        let Names { schema, outbox, consumers, poison, invalidate, .. } = &self.names;
        Ok(format!(
            "\
GRANT USAGE ON SCHEMA {schema} TO {writer}, {follower};
GRANT EXECUTE ON FUNCTION {invalidate}(text, jsonb) TO {writer};
GRANT SELECT, DELETE ON {outbox} TO {follower};
GRANT SELECT, INSERT, UPDATE ON {consumers} TO {follower};
GRANT SELECT, INSERT, UPDATE, DELETE ON {poison} TO {follower};
"
        ))
    }

    /// Begins a trigger that writes a change for each row of a table that is inserted, updated or deleted, and one for `TRUNCATE`: `table`,
    /// or `schema.table`.
    pub fn trigger(&self, table: &str) -> RowTrigger {
        RowTrigger::new(self.names.clone(), table)
    }
}
