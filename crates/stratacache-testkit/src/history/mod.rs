//! The history checker: finds reads that return what had been invalidated before they began.
//!
//! The rule is Strata's guarantee: if an invalidation of `S` returned before a read began (more than the slack before,
//! where there is one), that read never returns a value that depends on `S` and whose load began before the
//! invalidation was called. [`History`] checks it while the operations run, in memory that does not grow with them: for
//! each scope it keeps when the latest returned invalidation had been called, and a read that begins notes the latest
//! of its scopes as the time at or after which the load of its value must have begun.
//!
//! A driver makes [`Value`]s in its loaders, and wraps every operation:
//!
//! ```
//! use stratacache_testkit::history::HistoryBuilder;
//!
//! let mut plan = HistoryBuilder::new();
//! let acme = plan.scope("tenant acme");
//! let contacts = plan.scope("acme: tag contacts");
//! let history = plan.build();
//!
//! // in the loader, first thing:
//! let load = history.load(1, 7, &[acme, contacts]);
//! let value = load.finish(); // after reading the source
//!
//! // around an invalidation:
//! let call = history.invalidation(&[contacts]);
//! call.returned(); // only when it returned Ok
//!
//! // around a read:
//! let read = history.read(1, 7, &[acme, contacts]);
//! read.saw(&value); // what get_or_load gave; this one is stale
//!
//! let report = history.report();
//! assert_eq!((report.reads, report.stale), (1, 1));
//! assert!(report.verdict(0).is_err());
//! println!("{report}");
//! ```
//!
//! An insert is checked like a load when it is stamped: take the namespace's stamp first, then make the value with
//! `history.load(..).finish()`, then insert it under the stamp. An insert without a stamp counts as loaded when it is
//! called, which is later than its value was made: give it a value of [`History::unstamped`], or the checker blames it
//! wrongly.

mod builder;
mod checker;
mod guards;
mod report;
mod scope;
mod stripes;
mod value;

pub use builder::HistoryBuilder;
pub use checker::History;
pub use guards::{InvalidationCall, Load, Read};
pub use report::{Failure, Report, Violation};
pub use scope::ScopeId;
pub use value::Value;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toys;
