//! The SQL that ships with the crate: tables, the function that writes, triggers.

mod migration;
mod name;
#[cfg(test)]
mod tests;
mod trigger;

pub use migration::OutboxSql;
pub(crate) use name::{Names, checked};
pub use trigger::{RowTrigger, SqlPart};
