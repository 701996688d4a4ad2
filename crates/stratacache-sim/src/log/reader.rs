//! A log that another process writes.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{Event, RECORD};

/// A log, read up to some point.
#[derive(Debug)]
pub(crate) struct LogFile {
    node: u32,
    path: PathBuf,
    file: Option<File>,
    offset: u64,
}

impl LogFile {
    pub(crate) fn new(node: u32, path: &Path) -> Self {
        Self { node, path: path.to_owned(), file: None, offset: 0 }
    }

    /// Adds what was appended since the last call, with the number of the node.
    pub(crate) fn read_new(&mut self, into: &mut Vec<(u32, Event)>) -> io::Result<()> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut buffer = vec![0; RECORD << 12];
        loop {
            let mut read = file.read_at(&mut buffer, self.offset)?;
            read -= read % RECORD;
            if read == 0 {
                return Ok(());
            }
            self.offset += read as u64;
            for record in buffer[..read].chunks_exact(RECORD) {
                let event = record.try_into().ok().and_then(Event::decode);
                let broken = || io::Error::other(format!("{} holds what is no record", self.path.display()));
                into.push((self.node, event.ok_or_else(broken)?));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{log::Writer, world::Key};

    #[test]
    fn what_was_appended_is_read_once_and_half_a_record_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::new(2, &path);
        let mut events = Vec::new();
        log.read_new(&mut events).unwrap();
        let event = |version| Event::Begun { key: Key(1), version, at: 5 };
        let writer = Writer::create(&path).unwrap();
        (0..9000).for_each(|version| writer.append(&event(version)));
        log.read_new(&mut events).unwrap();
        assert_eq!(events.len(), 9000);
        let record = event(9000).encode();
        for (half, count) in [(&record[..30], 9000), (&record[30..], 9001)] {
            std::io::Write::write_all(&mut File::options().append(true).open(&path).unwrap(), half).unwrap();
            log.read_new(&mut events).unwrap();
            assert_eq!(events.len(), count);
        }
        assert_eq!(events[9000], (2, event(9000)));
    }
}
