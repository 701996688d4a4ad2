//! The journal on the device: notes are appended, and the file is written anew when most of it is history.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    State,
    format::{MAGIC, Note},
};
use crate::dir;

/// Bytes of history beyond which the file is written anew.
const SLACK: u64 = 64 * 1024;

/// The open journal and what it says.
#[derive(Debug)]
pub(crate) struct MarksFile {
    dir: PathBuf,
    file: File,
    length: u64,
    /// The length when it was last written anew.
    fresh: u64,
    /// A write failed and could not be taken back: the next one writes the file anew.
    broken: bool,
    open: Note,
    durable: bool,
    pub(crate) state: State,
}

impl MarksFile {
    /// Begins a run: writes the journal anew with a note of it, and has it on the device before anything else is written.
    pub(crate) fn begin(dir: &Path, state: State, boot: Vec<u8>, durable: bool) -> io::Result<Self> {
        let open = Note::Open { incarnation: state.incarnation(), durable, boot };
        let (file, length) = write_anew(dir, &open, &state, true)?;
        Ok(Self { dir: dir.to_owned(), file, length, fresh: length, broken: false, open, durable, state })
    }

    /// Appends notes with one write; `sync` has them on the device when this returns.
    pub(crate) fn append(&mut self, notes: &[Note], sync: bool) -> io::Result<()> {
        let mut bytes = Vec::new();
        notes.iter().for_each(|note| note.encode(&mut bytes));
        if self.broken || self.length > SLACK + 3 * self.fresh {
            self.renew()?;
        }
        if let Err(e) = self.file.write_all_at(&bytes, self.length) {
            // half a note would hide those behind it
            self.broken = self.file.set_len(self.length).is_err();
            return Err(e);
        }
        self.length += bytes.len() as u64;
        if sync && let Err(e) = self.file.sync_data() {
            // what is on the device after a failed sync is unknown; a new file is not in doubt
            self.broken = true;
            return Err(e);
        }
        Ok(())
    }

    fn renew(&mut self) -> io::Result<()> {
        let (file, length) = write_anew(&self.dir, &self.open, &self.state, self.durable)?;
        (self.file, self.length, self.fresh, self.broken) = (file, length, length, false);
        Ok(())
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }
}

fn write_anew(dir: &Path, open: &Note, state: &State, sync: bool) -> io::Result<(File, u64)> {
    let (path, new) = (dir.join(dir::MARKS), dir.join(format!("{}.new", dir::MARKS)));
    let mut bytes = MAGIC.to_vec();
    open.encode(&mut bytes);
    state.notes().for_each(|note| note.encode(&mut bytes));
    dir::remove(&new)?;
    let file = dir::create(&new)?;
    let written = file.write_all_at(&bytes, 0).and_then(|()| if sync { file.sync_all() } else { Ok(()) });
    if let Err(e) = written.and_then(|()| std::fs::rename(&new, &path)) {
        dir::remove(&new)?;
        return Err(e);
    }
    if sync {
        dir::sync(dir)?;
    }
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use stratacache_core::stamp::{Incarnation, Lane};

    use super::*;
    use crate::marks::{Ending, read};

    #[test]
    fn after_a_write_that_could_not_be_taken_back_the_journal_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(dir::MARKS);
        let mut marks = MarksFile::begin(dir.path(), State::new(Incarnation(5)), b"boot".to_vec(), false).unwrap();
        let append = |marks: &mut MarksFile, note: Note| {
            marks.append(std::slice::from_ref(&note), false).map(|()| marks.state.note(note))
        };
        append(&mut marks, Note::Time(1)).unwrap();
        marks.file = File::open(&path).unwrap();
        append(&mut marks, Note::Time(2)).unwrap_err();
        assert!(marks.is_broken());
        // the device had taken half of it all the same
        std::fs::write(&path, [std::fs::read(&path).unwrap(), vec![9; 3]].concat()).unwrap();
        append(&mut marks, Note::Floor(Lane::GLOBAL, 7)).unwrap();
        append(&mut marks, Note::Time(3)).unwrap();
        let found = read(&path).unwrap().unwrap();
        assert_eq!((found.ending, found.clean, found.state.incarnation()), (Ending::Whole, false, Incarnation(5)));
        let snapshot = found.state.snapshot();
        assert_eq!((snapshot.time, snapshot.floors[16]), (3, 7));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }
}
