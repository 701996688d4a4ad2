//! Opening: what a run before left is kept, or everything is emptied and a new history begins.

use std::{fmt, io, path::Path, sync::Arc};

use parking_lot::{Mutex, RwLock};
use stratacache_core::{Error, ErrorKind, Result, stamp::Incarnation};

use super::{
    Store,
    fences::Fences,
    index::Index,
    log::{Shape, Writer},
    recover::{self, Distrust},
    stats::Stats,
};
use crate::{
    dir::{self, Dir},
    marks::{self, Ending, Found, MarksFile, State},
};

/// What a store is opened with; the builder has checked it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) dir: std::path::PathBuf,
    pub(crate) create_dir: bool,
    pub(crate) capacity: u64,
    pub(crate) max_entry: u64,
    pub(crate) max_entries: u64,
    pub(crate) durable: bool,
    pub(crate) boot_id: Option<Vec<u8>>,
}

/// Why a store opens empty although there was one.
#[derive(Debug)]
enum Refusal {
    NoMarks,
    NotLive,
    PowerLost,
    MarksDamaged,
    Segments(Distrust),
    Io(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMarks => f.write_str("it holds no journal of marks"),
            Self::NotLive => f.write_str("an invalidation could not be written to it"),
            Self::PowerLost => {
                f.write_str("the machine restarted without a clean close, and durable_invalidations is off")
            }
            Self::MarksDamaged => f.write_str("its journal of marks is damaged"),
            Self::Segments(why) => why.fmt(f),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl Store {
    /// Opens the store; blocks.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let dir = Dir::take(&config.dir, config.create_dir)?;
        let boot = config.boot_id.clone().unwrap_or_else(dir::boot_id);
        let was_used = had_contents(dir.path()).map_err(|e| failed(&config.dir, e))?;
        match Self::resume(config, &dir, &boot) {
            Ok((writer, state)) => Self::begin(config, dir, writer, state, boot),
            // nothing says that the contents are bad: a later attempt may read them
            Err(Refusal::Io(e) | Refusal::Segments(Distrust::Io(e))) => Err(failed(&config.dir, e)),
            Err(refusal) => {
                if was_used {
                    tracing::warn!(directory = ?config.dir, %refusal, "the disk tier opens empty");
                }
                let incarnation = Incarnation::random()?;
                empty(&dir, config.durable).map_err(|e| failed(&config.dir, e))?;
                Self::begin(config, dir, new_writer(config, incarnation), State::new(incarnation), boot)
            }
        }
    }

    /// Takes over what a run before left.
    fn resume(config: &Config, dir: &Dir, boot: &[u8]) -> std::result::Result<(Writer, State), Refusal> {
        let found = marks::read(&dir.path().join(dir::MARKS)).map_err(Refusal::Io)?.ok_or(Refusal::NoMarks)?;
        let power_lost = judge(&found, dir.is_live().map_err(Refusal::Io)?, boot)?;
        let mut writer = new_writer(config, found.state.incarnation());
        writer.set_time(found.state.time());
        recover::recover(&mut writer, power_lost).map_err(Refusal::Segments)?;
        writer.fit();
        Ok((writer, found.state))
    }

    fn begin(config: &Config, dir: Dir, writer: Writer, state: State, boot: Vec<u8>) -> Result<Self> {
        let failed = |e| failed(&config.dir, e);
        if config.durable {
            // the run before may not have been durable
            writer.all().iter().try_for_each(|segment| segment.sync()).map_err(failed)?;
        }
        let marks = MarksFile::begin(dir.path(), state, boot, config.durable).map_err(failed)?;
        dir.set_live(true, config.durable).map_err(failed)?;
        let (index, segments, stats) = writer.shared();
        Ok(Self {
            fences: Fences::new(Incarnation::random()?.0),
            index,
            segments,
            stats,
            writer: Mutex::new(writer),
            marks: Mutex::new(marks),
            cursor: Mutex::new(0),
            max_entry: config.max_entry,
            durable: config.durable,
            dir,
        })
    }
}

/// Decides whether a run before can be taken over; tells whether the machine lost power since.
fn judge(found: &Found, live: bool, boot: &[u8]) -> std::result::Result<bool, Refusal> {
    if !live {
        return Err(Refusal::NotLive);
    }
    let same_boot = !boot.is_empty() && found.boot == boot;
    let power_lost = !(same_boot || found.clean && found.ending == Ending::Whole);
    if power_lost && !found.durable {
        return Err(Refusal::PowerLost);
    }
    if found.ending == Ending::Damaged && !power_lost {
        return Err(Refusal::MarksDamaged);
    }
    Ok(power_lost)
}

fn new_writer(config: &Config, incarnation: Incarnation) -> Writer {
    let shape = Shape {
        dir: config.dir.clone(),
        incarnation,
        capacity: config.capacity,
        segment_size: segment_size(config.capacity),
        max_entries: config.max_entries,
        durable: config.durable,
    };
    Writer::new(shape, Arc::new(Index::new()), Arc::new(RwLock::default()), Arc::new(Stats::default()))
}

/// Eviction frees a segment at a time: about a sixty-fourth of the capacity.
fn segment_size(capacity: u64) -> u64 {
    (capacity / 64).clamp(16 << 10, 64 << 20)
}

fn had_contents(dir: &Path) -> io::Result<bool> {
    Ok(dir.join(dir::MARKS).try_exists()? || !recover::segment_ids(dir)?.is_empty())
}

/// Removes what a run before left, in an order in which no crash brings a part of it back.
fn empty(dir: &Dir, durable: bool) -> io::Result<()> {
    dir.set_live(false, durable)?;
    for id in recover::segment_ids(dir.path())? {
        dir::remove(&dir.path().join(dir::segment_name(id)))?;
    }
    dir::remove(&dir.path().join(dir::MARKS))?;
    if durable { dir::sync(dir.path()) } else { Ok(()) }
}

fn failed(dir: &Path, error: io::Error) -> Error {
    let kind = if crate::error::is_full(&error) { ErrorKind::Full } else { ErrorKind::Unavailable };
    Error::new(kind, format!("the directory {dir:?} of the disk tier cannot be used: {error}")).with_source(error)
}
