//! A CRM for many companies, as an application that uses Strata is written. Without arguments it shows itself around:
//! see the README beside it.
//!
//! It is a library so that there are three programs: `crm`, and in `src/bin` two that make a mistake, which the tour must notice.

mod clock;
mod db;
mod mistake;
mod options;
mod program;
mod serve;
mod server;
mod tour;

pub use mistake::Mistake;
pub use program::run;
