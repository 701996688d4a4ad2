//! What a run before left in the directory, taken over or refused as a whole.

use std::{collections::BTreeSet, fmt, io, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use super::{
    index::Place,
    log::Writer,
    segment::{self, Item, START, Segment},
};
use crate::dir;

/// Why the segments of a run before cannot be trusted.
#[derive(Debug)]
pub(crate) enum Distrust {
    /// One is missing between others, and the removals in it.
    Gap(u32),
    /// One is not of this store.
    Foreign(u32),
    /// One is damaged where removals may have been.
    Damaged(u32),
    /// One cannot be read.
    Io(io::Error),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(id) => write!(f, "segment {id} is missing"),
            Self::Foreign(id) => write!(f, "segment {id} belongs to another history"),
            Self::Damaged(id) => write!(f, "segment {id} is damaged"),
            Self::Io(error) => write!(f, "a segment cannot be read: {error}"),
        }
    }
}

impl From<io::Error> for Distrust {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Returns the ids of the segments in a directory.
pub(crate) fn segment_ids(dir: &Path) -> io::Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(dir)? {
        if let Some(id) = entry?.file_name().to_str().and_then(dir::segment_id) {
            ids.insert(id);
        }
    }
    Ok(ids)
}

/// Fills a writer with the segments of a run before.
///
/// After a loss of power the newest segment may end in anything: what follows its last whole record is cut off. After
/// the death of the process only a write that was cut off is an honest end.
pub(crate) fn recover(writer: &mut Writer, power_lost: bool) -> Result<(), Distrust> {
    let ids = segment_ids(writer.dir())?;
    let Some((&first, &last)) = ids.first().zip(ids.last()) else { return Ok(()) };
    if let Some(missing) = (first..=last).find(|id| !ids.contains(id)) {
        return Err(Distrust::Gap(missing));
    }
    for id in ids {
        let path = writer.dir().join(dir::segment_name(id));
        let file = dir::open(&path)?;
        let length = file.metadata()?.len();
        if length < START && id == last {
            // the run ended between making the file and writing its start
            std::fs::remove_file(&path)?;
            continue;
        }
        let mut start = [0; START as usize];
        file.read_exact_at(&mut start, 0)?;
        if segment::decode_start(&start) != Some(writer.incarnation()) {
            return Err(Distrust::Foreign(id));
        }
        let (items, end) = match segment::read_list(&file, length)? {
            Some(list) => list,
            None => {
                let scan = segment::scan(&file, length)?;
                if scan.damaged && !(power_lost && id == last) {
                    return Err(Distrust::Damaged(id));
                }
                (scan.items, scan.end)
            }
        };
        let length = if id == last { end } else { length };
        if id == last {
            file.set_len(end)?;
        }
        let segment = Segment::new(id, file, path);
        segment.distrust_device();
        writer.adopt(Arc::new(segment), length);
        for item in &items {
            writer.replay(id, item);
        }
        writer.resume(id, if id == last { items } else { Vec::new() });
    }
    Ok(())
}

impl Writer {
    /// Applies one record of a run before.
    fn replay(&mut self, segment: u32, item: &Item) {
        if item.removal || item.expires_at <= self.time() {
            self.forget(item.name);
            return;
        }
        let place = Place { segment, offset: item.offset, len: item.len };
        self.place(item.name, place, item.expires_at);
    }
}
