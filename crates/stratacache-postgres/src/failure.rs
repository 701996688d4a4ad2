//! What went wrong, in our words: never a connection string, a row or a parameter.

use std::{error::Error as _, io};

use stratacache_core::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

/// Says what a failed statement means.
pub(crate) fn understood(doing: &str, error: &tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        return Error::new(ErrorKind::Unavailable, format!("{doing}: {}", without_an_answer(error)));
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

/// Says what to do about a connection. The text of others may show parts of the URL: of it only the beginning is looked at.
fn without_an_answer(error: &tokio_postgres::Error) -> String {
    let text = error.to_string();
    if text.starts_with("error performing TLS handshake") {
        return "no encrypted connection to Postgres: it must speak TLS, with a certificate for the host of the URL from an \
                authority that is trusted (ca_file); sslmode=disable in the URL does without"
            .to_owned();
    }
    let kind = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(|cause| cause.kind().to_string());
    // "uncategorized error" says nothing
    let kind = kind.filter(|kind| !kind.ends_with("error")).map(|kind| format!(" ({kind})")).unwrap_or_default();
    if text.starts_with("error connecting") {
        format!("Postgres cannot be reached{kind}; check that it runs, and the host and port of the URL")
    } else {
        format!("the connection to Postgres was lost{kind}")
    }
}

pub(crate) fn late(doing: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{doing}: Postgres did not answer within the deadline"))
}
