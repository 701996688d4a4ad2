//! Why the data base did not answer.

use std::{error::Error, fmt};

/// Says why the data base did not answer.
#[derive(Debug)]
pub(crate) enum DbError {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// The file holds something else than this program's tables.
    Foreign { user_version: i64 },
    /// The thread that worked on it panicked or the program ends.
    Interrupted,
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "SQLite: {error}"),
            Self::Foreign { user_version } => write!(
                f,
                "the data base is of another version ({user_version}); delete it or name another folder with --data"
            ),
            Self::Interrupted => f.write_str("the query was interrupted"),
        }
    }
}

impl Error for DbError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Foreign { .. } | Self::Interrupted => None,
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
