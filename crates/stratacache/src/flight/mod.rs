//! One load for each key: the loads under way, who leads them and who waits.

mod table;
mod waiters;

pub(crate) use table::{Flight, FlightKey, FlightTable, Lead, Outcome, Role};
