//! The end of a log that grows.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use super::Event;

/// Appends records. Each is one write that the system has before the call returns: it outlives the process.
#[derive(Debug)]
pub(crate) struct Writer(File);

impl Writer {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        File::options().append(true).create(true).open(path).map(Self)
    }

    /// Appends an event.
    ///
    /// # Panics
    /// When the system does not take it: a node that cannot write down what it does is of no use.
    #[allow(clippy::expect_used)]
    pub(crate) fn append(&self, event: &Event) {
        (&self.0).write_all(&event.encode()).expect("the log of the campaign cannot be written");
    }
}
