//! One session: the connection that reads, with the lock that says who delivers, and the one that listens.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use stratacache_core::{
    Error, ErrorKind, Result,
    follow::{Change, Lag, MAX_CHANGE_TEXT, Position},
};
use tokio::sync::Notify;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    connect::{Connected, Connector},
    sql::Names,
};

/// Rows that are deleted by one statement.
pub(crate) const DELETED_AT_ONCE: i64 = 2000;
/// Statements that delete, after one acknowledgement.
pub(crate) const DELETIONS: usize = 4;
/// Targets that take more room in the table are too long, and are not even written out to find that: JSON of numbers takes four times
/// as much as its text.
pub(crate) const MAX_STORED: usize = 4 * MAX_CHANGE_TEXT;
/// So many characters of a tenant are read: no valid one has as many.
const MAX_TENANT: usize = 65;
/// The lag is counted up to here.
const COUNTED: i64 = 100_000;

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(crate) struct Session {
    reader: Connected,
    listener: Mutex<Option<Connected>>,
    /// The lock is ours.
    pub(crate) delivers: AtomicBool,
}

/// What the history looked like when the lock was taken.
pub(crate) struct Taken {
    pub(crate) acknowledged: Position,
    /// No transaction had this number yet.
    pub(crate) next_xid: u64,
}

impl Session {
    pub(crate) async fn open(connector: &Connector) -> Result<Self> {
        let reader = connector.connect(Arc::default()).await?;
        let millis = connector.deadline.as_millis();
        // the server ends what hangs, and notices a node that went without a word
        let settings = format!(
            "SET statement_timeout = {millis}; SET lock_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}; \
             SET default_transaction_isolation = 'read committed'; SET tcp_keepalives_idle = 10; \
             SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
        );
        connector.in_time("preparing a session", reader.client.batch_execute(&settings)).await?;
        Ok(Self { reader, listener: Mutex::default(), delivers: AtomicBool::new(false) })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.reader.client.is_closed()
    }

    /// Looks whether the tables are there.
    pub(crate) async fn check(&self, connector: &Connector, names: &Names) -> Result<()> {
        let Names { outbox, consumers, poison, .. } = names;
        let sql = format!(
            "SELECT (SELECT count(*) FROM (SELECT xid, id, tenant, targets, written_at FROM {outbox} LIMIT 0) o) \
             + (SELECT count(*) FROM (SELECT name, xid, id, poison_dropped FROM {consumers} LIMIT 0) c) \
             + (SELECT count(*) FROM (SELECT consumer FROM {poison} LIMIT 0) p)"
        );
        self.rows(connector, "looking for the outbox", &sql, &[]).await?;
        self.may_drop_poison(connector, names).await
    }

    /// Tries to become the one that delivers, and says where to begin.
    pub(crate) async fn take(&self, connector: &Connector, names: &Names, consumer: &str) -> Result<Option<Taken>> {
        let lock = format!("{}/{consumer}", names.channel);
        let sql = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
        let rows = self.rows(connector, "taking the lock of a consumer", sql, &[&lock]).await?;
        let free: bool = rows.first().ok_or_else(strange)?.try_get(0).map_err(|_| strange())?;
        if !free {
            return Ok(None);
        }
        let consumers = &names.consumers;
        let insert = format!("INSERT INTO {consumers} (name) VALUES ($1) ON CONFLICT DO NOTHING");
        self.execute(connector, "adding a consumer", &insert, &[&consumer]).await?;
        let sql = format!(
            "SELECT xid::text, id, pg_snapshot_xmax(pg_current_snapshot())::text FROM {consumers} WHERE name = $1"
        );
        let rows = self.rows(connector, "reading the position of a consumer", &sql, &[&consumer]).await?;
        let row = rows.first().ok_or_else(strange)?;
        let taken = Taken { acknowledged: position(row, 0, 1)?, next_xid: number(row, 2)? };
        self.delivers.store(true, Relaxed);
        Ok(Some(taken))
    }

    /// Lets the consumer begin again, in a database with another history.
    pub(crate) async fn restart(&self, connector: &Connector, names: &Names, consumer: &str) -> Result<()> {
        let sql = format!("UPDATE {} SET xid = '0', id = 0, updated_at = now() WHERE name = $1", names.consumers);
        self.execute(connector, "setting the position of a consumer back", &sql, &[&consumer]).await.map(|_| ())
    }

    /// Makes the connection that listens, if there is none. Without it, changes are found by looking.
    pub(crate) async fn listen(&self, connector: &Connector, names: &Names, heard: &Arc<Notify>) {
        let listening = |there: &Option<Connected>| there.as_ref().is_some_and(|there| !there.client.is_closed());
        if listening(&self.listener.lock().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let listen = async {
            let listener = connector.connect(Arc::clone(heard)).await?;
            let sql = format!("LISTEN \"{}\"", names.channel);
            connector.in_time("listening", listener.client.batch_execute(&sql)).await?;
            Ok::<_, Error>(listener)
        };
        match listen.await {
            Ok(listener) => {
                *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
                // what came before it listened
                heard.notify_one();
            }
            Err(error) => tracing::debug!(%error, "not listening: changes are found by looking"),
        }
    }

    /// Reads changes after a position, as far as nothing can come before them any more.
    pub(crate) async fn changes(
        &self,
        connector: &Connector,
        names: &Names,
        after: Position,
        limit: i64,
    ) -> Result<Vec<Change>> {
        // one snapshot for both: what is visible in it and older than every transaction under way is all there will ever be
        let sql = format!(
            "SELECT o.xid::text, o.id, left(o.tenant, {MAX_TENANT}), \
               CASE WHEN pg_column_size(o.targets) > {MAX_STORED} THEN NULL \
                    WHEN octet_length(o.targets::text) <= {MAX_CHANGE_TEXT} THEN o.targets::text END, \
               greatest(0, (extract(epoch FROM clock_timestamp() - o.written_at) * 1000)::bigint) \
             FROM {} o \
             WHERE (o.xid, o.id) > ($1::text::xid8, $2::bigint) AND o.xid < pg_snapshot_xmin(pg_current_snapshot()) \
             ORDER BY o.xid, o.id LIMIT $3",
            names.outbox
        );
        let (xid, id) = numbers(after);
        let rows = self.rows(connector, "reading the outbox", &sql, &[&xid, &id, &limit]).await?;
        rows.iter().map(change).collect()
    }

    pub(crate) async fn acknowledge(
        &self,
        connector: &Connector,
        names: &Names,
        consumer: &str,
        through: Position,
    ) -> Result<()> {
        let Names { outbox, consumers, .. } = names;
        let sql = format!(
            "UPDATE {consumers} SET xid = $2::text::xid8, id = $3, updated_at = now() \
             WHERE name = $1 AND (xid, id) < ($2::text::xid8, $3::bigint)"
        );
        let (xid, id) = numbers(through);
        self.execute(connector, "acknowledging changes", &sql, &[&consumer, &xid, &id]).await?;
        let delete = format!(
            "DELETE FROM {outbox} WHERE (xid, id) IN (SELECT o.xid, o.id FROM {outbox} o \
               WHERE (o.xid, o.id) <= (SELECT c.xid, c.id FROM {consumers} c ORDER BY c.xid, c.id LIMIT 1) \
               ORDER BY o.xid, o.id LIMIT {DELETED_AT_ONCE})"
        );
        for _ in 0..DELETIONS {
            // what stays is deleted after the next acknowledgement
            match self.execute(connector, "deleting applied changes", &delete, &[]).await {
                Ok(deleted) if deleted as i64 == DELETED_AT_ONCE => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "applied changes stay in the outbox for now");
                    break;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn lag(&self, connector: &Connector, names: &Names, consumer: &str) -> Result<Lag> {
        let sql = format!(
            "SELECT count(*), coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(w)) * 1000), 0)::bigint \
             FROM (SELECT o.written_at AS w FROM {} o \
               WHERE (o.xid, o.id) > (SELECT coalesce(max(c.xid), '0'::xid8), coalesce(max(c.id), 0) FROM {} c WHERE c.name = $1) \
               ORDER BY o.xid, o.id LIMIT {COUNTED}) AS waiting",
            names.outbox, names.consumers
        );
        let rows = self.rows(connector, "asking for the lag", &sql, &[&consumer]).await?;
        let row = rows.first().ok_or_else(strange)?;
        let count: i64 = row.try_get(0).map_err(|_| strange())?;
        let age: i64 = row.try_get(1).map_err(|_| strange())?;
        let millis = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Lag::new(millis(count), std::time::Duration::from_millis(millis(age))))
    }

    pub(crate) async fn rows(
        &self,
        connector: &Connector,
        doing: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        connector.in_time(doing, self.reader.client.query(sql, params)).await
    }

    pub(crate) async fn execute(
        &self,
        connector: &Connector,
        doing: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64> {
        connector.in_time(doing, self.reader.client.execute(sql, params)).await
    }
}

fn change(row: &Row) -> Result<Change> {
    let position = position(row, 0, 1)?;
    let tenant: Option<&str> = row.try_get(2).map_err(|_| strange())?;
    let targets: Option<&str> = row.try_get(3).map_err(|_| strange())?;
    let age: i64 = row.try_get(4).map_err(|_| strange())?;
    let change = match targets {
        Some(targets) => Change::from_json(position, tenant, targets),
        None => Change::unreadable(position, format!("the targets of a change have at most {MAX_CHANGE_TEXT} bytes")),
    };
    Ok(change.aged(u64::try_from(age).unwrap_or(0)))
}

fn position(row: &Row, xid: usize, id: usize) -> Result<Position> {
    let id: i64 = row.try_get(id).map_err(|_| strange())?;
    Ok(Position::new(number(row, xid)?, u64::try_from(id).map_err(|_| strange())?))
}

fn number(row: &Row, at: usize) -> Result<u64> {
    let text: &str = row.try_get(at).map_err(|_| strange())?;
    text.parse().map_err(|_| strange())
}

pub(crate) fn numbers(position: Position) -> (String, i64) {
    (position.major().to_string(), i64::try_from(position.minor()).unwrap_or(i64::MAX))
}

pub(crate) fn strange() -> Error {
    Error::new(ErrorKind::Corrupt, "Postgres answered with rows of another shape; was the migration changed by hand?")
}
