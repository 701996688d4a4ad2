//! What a node writes down while it works, and how it is read again.

mod event;
mod reader;
mod writer;

pub(crate) use event::{Asked, BelowCounted, Counted, Event, Leased, Op, RECORD, Seen, What};
pub(crate) use reader::LogFile;
pub(crate) use writer::Writer;

/// Returns the name of the log of one life of a node.
pub(crate) fn file_name(node: u32, life: u32) -> String {
    format!("node-{node}-{life}.log")
}
