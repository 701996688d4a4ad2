//! Identifiers, checked: nothing that a user names can be more than a name.

use stratacache_core::{Error, Result};

const MAX: usize = 48;

/// Checks an identifier and puts it in quotes, so that words of SQL are names too.
pub(crate) fn checked(what: &str, name: &str) -> Result<String> {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !begins || !goes_on || name.len() > MAX {
        return Err(Error::invalid(format!(
            "the {what} is 1 to {MAX} of a-z, 0-9 and _, not beginning with a digit: it becomes an SQL identifier"
        )));
    }
    Ok(format!("\"{name}\""))
}

/// The names of one outbox, in quotes where they are used in SQL.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) schema: String,
    pub(crate) outbox: String,
    pub(crate) consumers: String,
    pub(crate) poison: String,
    pub(crate) invalidate: String,
    /// The channel of LISTEN and NOTIFY, without quotes.
    pub(crate) channel: String,
}

impl Names {
    pub(crate) fn new(schema: &str) -> Result<Self> {
        let quoted = checked("schema", schema)?;
        let of = |name: &str| format!("{quoted}.{name}");
        Ok(Self {
            outbox: of("outbox"),
            consumers: of("consumers"),
            poison: of("poison"),
            invalidate: of("invalidate"),
            channel: format!("{schema}_outbox"),
            schema: quoted,
        })
    }
}
