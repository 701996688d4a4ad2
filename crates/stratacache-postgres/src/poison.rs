//! What nobody can apply: kept for an operator, as much of it as is asked for, and counted where it goes.

use stratacache_core::{Result, follow::SetAside};

use crate::{
    connect::Connector,
    session::{DELETED_AT_ONCE, DELETIONS, MAX_STORED, Session, numbers, strange},
    sql::Names,
};

/// Changes that are kept by one statement.
const KEPT_AT_ONCE: usize = 256;
/// So many characters of the targets are kept, and of longer ones the beginning.
const MAX_TARGETS: usize = 16 << 10;
/// So many characters of a tenant and of a reason are kept.
const MAX_TEXT: usize = 256;

/// What the table `poison` holds for a consumer. Returned by [`PostgresOutbox::poison`](crate::PostgresOutbox::poison).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxPoison {
    /// Changes that were set aside and are still there.
    pub kept: u64,
    /// Changes that were dropped for newer ones, since the consumer was first seen. One that was set aside twice may count twice.
    pub dropped: u64,
}

impl Session {
    /// Looks whether what is too much may be dropped: found out later, it would be too late.
    pub(crate) async fn may_drop_poison(&self, connector: &Connector, names: &Names) -> Result<()> {
        let poison = &names.poison;
        let sql = format!(
            "DELETE FROM {poison} WHERE consumer IN (SELECT p.consumer FROM {poison} p LIMIT 0 FOR UPDATE SKIP LOCKED)"
        );
        self.execute(connector, "looking for the rights to set changes aside", &sql, &[]).await.map(|_| ())
    }

    pub(crate) async fn set_aside(
        &self,
        connector: &Connector,
        names: &Names,
        consumer: &str,
        changes: &[SetAside],
        most: u32,
    ) -> Result<()> {
        let Names { outbox, poison, .. } = names;
        let sql = format!(
            "INSERT INTO {poison} (consumer, xid, id, tenant, targets, reason) \
             SELECT $1, o.xid, o.id, left(o.tenant, {MAX_TEXT}), \
               CASE WHEN pg_column_size(o.targets) > {MAX_STORED} THEN to_jsonb('too long to be kept'::text) \
                    WHEN length(o.targets::text) <= {MAX_TARGETS} THEN o.targets \
                    ELSE to_jsonb(left(o.targets::text, {MAX_TARGETS})) END, \
               left(p.reason, {MAX_TEXT}) \
             FROM unnest($2::text[], $3::bigint[], $4::text[]) AS p (xid, id, reason) \
             JOIN {outbox} o ON o.xid = p.xid::xid8 AND o.id = p.id ON CONFLICT DO NOTHING"
        );
        for changes in changes.chunks(KEPT_AT_ONCE) {
            let (xids, ids): (Vec<String>, Vec<i64>) = changes.iter().map(|change| numbers(change.position)).unzip();
            // no NUL can be stored in a text
            let reasons: Vec<String> = changes.iter().map(|change| change.reason.replace('\0', " ")).collect();
            self.execute(connector, "setting changes aside", &sql, &[&consumer, &xids, &ids, &reasons]).await?;
            self.bound_poison(connector, names, consumer, most).await;
        }
        Ok(())
    }

    /// Drops what is above the bound, the oldest first. Not to be able to must not hold up what can be applied: there is a next time.
    async fn bound_poison(&self, connector: &Connector, names: &Names, consumer: &str, most: u32) {
        for _ in 0..DELETIONS {
            match self.drop_oldest(connector, names, consumer, most).await {
                Ok(0) => return,
                Ok(dropped) => {
                    tracing::warn!(consumer, dropped, most, "changes that were set aside are dropped for newer ones");
                    if dropped < DELETED_AT_ONCE {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(consumer, %error, "more changes than asked for stay set aside for now");
                    return;
                }
            }
        }
    }

    async fn drop_oldest(&self, connector: &Connector, names: &Names, consumer: &str, most: u32) -> Result<i64> {
        let Names { consumers, poison, .. } = names;
        // rows that an operator holds are passed over; those of an older history may have larger numbers, so they go by age
        let sql = format!(
            "WITH oldest AS (SELECT p.xid, p.id FROM {poison} p WHERE p.consumer = $1 \
               ORDER BY p.set_aside_at, p.xid, p.id \
               LIMIT least({DELETED_AT_ONCE}, greatest(0, (SELECT count(*) FROM {poison} c WHERE c.consumer = $1) - $2)) \
               FOR UPDATE SKIP LOCKED), \
             dropped AS (DELETE FROM {poison} p USING oldest o WHERE p.consumer = $1 AND p.xid = o.xid AND p.id = o.id \
               RETURNING 1), \
             counted AS (SELECT count(*) AS n FROM dropped) \
             UPDATE {consumers} SET poison_dropped = poison_dropped + counted.n FROM counted \
             WHERE name = $1 AND counted.n > 0 RETURNING counted.n"
        );
        let rows = self.rows(connector, "dropping old poison", &sql, &[&consumer, &i64::from(most)]).await?;
        rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(|_| strange()))
    }

    pub(crate) async fn poison(&self, connector: &Connector, names: &Names, consumer: &str) -> Result<OutboxPoison> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM {} WHERE consumer = $1), \
               coalesce((SELECT poison_dropped FROM {} WHERE name = $1), 0)",
            names.poison, names.consumers
        );
        let rows = self.rows(connector, "counting what was set aside", &sql, &[&consumer]).await?;
        let row = rows.first().ok_or_else(strange)?;
        let number = |at: usize| {
            let number: i64 = row.try_get(at).map_err(|_| strange())?;
            u64::try_from(number).map_err(|_| strange())
        };
        Ok(OutboxPoison { kept: number(0)?, dropped: number(1)? })
    }
}
