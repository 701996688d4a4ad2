//! The fault campaign: real nodes on real servers, killed, cut off and misled on purpose, and one checker over what they
//! wrote down.
//!
//! * `world`: which keys there are and what they depend on, the same for every process.
//! * `node`: a process with the real engine and a workload; the same binary with the subcommand `node`.
//! * `log`: what a node writes down, in records of a fixed size that survive `kill -9`.
//! * `checker`: a pure function over the logs.
//! * `stage`: the servers, the proxies and the nodes of a run.
//! * `faults`: everything that is done to them, one kind in each file or variant.
//! * `segment`: one run on a fresh stage; `plan`: which segments make a form of the campaign; `part`: of the long form.
//! * `report`: figures, the file of results and its table; `explain`: the events around a violation.
//!
//! `docs/campaign.md` says how to run it and how to replay a seed.

mod checker;
mod cli;
mod explain;
mod faults;
mod log;
mod mutants;
mod node;
mod part;
mod plan;
mod random;
mod report;
mod segment;
mod spawn;
mod stage;
mod time;
mod world;

pub use cli::campaign;
