//! The journal of marks: a small file of its own beside the segments.

mod file;
mod format;
mod state;

pub(crate) use file::MarksFile;
pub(crate) use format::{Ending, Found, Note, read};
pub(crate) use state::{State, marks_of};
