//! What went wrong, in our words: never a connection string, a row or a parameter.

use stratacache_core::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

/// Says what a failed statement means.
pub(crate) fn understood(doing: &str, error: &tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        // the text of others may show parts of the connection string
        return Error::new(ErrorKind::Unavailable, format!("{doing}: the connection to Postgres failed or was lost"));
    };
    let code = db.code();
    let (kind, advice) =
        if [&SqlState::UNDEFINED_TABLE, &SqlState::UNDEFINED_COLUMN, &SqlState::INVALID_SCHEMA_NAME].contains(&code) {
            (ErrorKind::Unavailable, "; run the migration (OutboxSql::migration) in this database")
        } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            (ErrorKind::Unavailable, "; grant the role what OutboxSql::grants lists")
        } else if [&SqlState::INVALID_PASSWORD, &SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(&code) {
            (ErrorKind::Unavailable, "; check user, password and pg_hba.conf")
        } else if *code == SqlState::QUERY_CANCELED {
            (ErrorKind::Timeout, "; it took longer than the deadline")
        } else {
            (ErrorKind::Unavailable, "")
        };
    Error::new(kind, format!("{doing}: Postgres says {} ({}){advice}", db.message(), code.code()))
}

pub(crate) fn late(doing: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{doing}: Postgres did not answer within the deadline"))
}
