//! What a run before left in the directory, taken over or refused as a whole.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    index::Place,
    log::Writer,
    segment::{self, Item, START, Segment, Start},
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

/// A segment as it was found.
struct Candidate {
    id: u32,
    path: PathBuf,
    file: File,
    length: u64,
    start: Start,
}

/// Fills a writer with the segments of a run before.
///
/// After a loss of power the newest segment may end in anything: what follows its last whole record is cut off. After
/// the death of the process only a write that was cut off is an honest end. Where an older segment ends is known from the
/// one behind it: it may not be shorter, and what lies beyond was taken back.
pub(crate) fn recover(writer: &mut Writer, power_lost: bool) -> Result<(), Distrust> {
    let mut candidates = candidates(writer, power_lost)?.into_iter().peekable();
    while let Some(Candidate { id, path, file, length, .. }) = candidates.next() {
        let limit = candidates.peek().map(|next| next.start.before);
        let (mut items, end) = match segment::read_list(&file, length)? {
            Some(list) => list,
            None => {
                let scan = segment::scan(&file, length)?;
                if limit.is_none() && scan.damaged && !power_lost {
                    return Err(Distrust::Damaged(id));
                }
                (scan.items, scan.end)
            }
        };
        let last = limit.is_none();
        if let Some(limit) = limit {
            if end < limit {
                return Err(Distrust::Damaged(id));
            }
            items.retain(|item| u64::from(item.offset) < limit);
        } else {
            // the next record is written here
            file.set_len(end)?;
        }
        let segment = Segment::new(id, file, path);
        segment.distrust_device();
        writer.adopt(Arc::new(segment), if last { end } else { length });
        for item in &items {
            writer.replay(id, item);
        }
        if last {
            writer.resume(id, items);
        }
    }
    Ok(())
}

/// Opens the segments, the oldest first.
fn candidates(writer: &Writer, power_lost: bool) -> Result<Vec<Candidate>, Distrust> {
    let ids = segment_ids(writer.dir())?;
    let Some((&first, &last)) = ids.first().zip(ids.last()) else { return Ok(Vec::new()) };
    if let Some(missing) = (first..=last).find(|id| !ids.contains(id)) {
        return Err(Distrust::Gap(missing));
    }
    let mut candidates = Vec::with_capacity(ids.len());
    for id in ids {
        let path = writer.dir().join(dir::segment_name(id));
        let file = dir::open(&path)?;
        let length = file.metadata()?.len();
        let mut start = [0; START as usize];
        if length >= START {
            file.read_exact_at(&mut start, 0)?;
        }
        match Start::decode(&start) {
            // the run ended before its start was written, or before anything in it was synced
            None if id == last && (length < START || power_lost) => std::fs::remove_file(&path)?,
            Some(start) if start.incarnation == writer.incarnation() => {
                candidates.push(Candidate { id, path, file, length, start });
            }
            _ => return Err(Distrust::Foreign(id)),
        }
    }
    Ok(candidates)
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
