//! The directory: who may use it, what the files in it are called, how they are opened.
//!
//! No name in it comes from keys or tenants.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use stratacache_core::{Error, ErrorKind, Result};

/// Held by the process that uses the directory.
const LOCK: &str = "lock";
/// There while the contents may be used after a restart.
const LIVE: &str = "LIVE";
/// The journal of marks.
pub(crate) const MARKS: &str = "marks";

const SEGMENT_SUFFIX: &str = ".seg";

/// Returns the file name of a segment.
pub(crate) fn segment_name(id: u32) -> String {
    format!("{id:08x}{SEGMENT_SUFFIX}")
}

/// Returns the id in the file name of a segment.
pub(crate) fn segment_id(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // never through a symbolic link that somebody put there
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Makes a file that only its owner can read; it must not exist.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// Opens a file that exists.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    options().open(path)
}

/// Removes a file that may not exist.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Brings the names in the directory onto the device.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A directory in use by this process.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    _lock: File,
}

impl Dir {
    /// Makes the directory if it may, checks it and takes it for this process.
    pub(crate) fn take(path: &Path, create_dir: bool) -> Result<Self> {
        prepare(path, create_dir)?;
        let failed = |e: io::Error| cannot_use(path, e);
        let lock = options().create(true).truncate(false).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the directory {path:?} of the disk tier is in use by another cache or process; give each its own"
                ),
            )),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether the contents may be used after a restart.
    pub(crate) fn is_live(&self) -> io::Result<bool> {
        self.path.join(LIVE).try_exists()
    }

    /// Says that the contents may, or may not, be used after a restart.
    pub(crate) fn set_live(&self, live: bool, durable: bool) -> io::Result<()> {
        let path = self.path.join(LIVE);
        if live {
            options().create(true).truncate(false).open(path)?;
        } else {
            remove(&path)?;
        }
        // without durable invalidations a loss of power empties the store anyway
        if durable { sync(&self.path) } else { Ok(()) }
    }
}

fn cannot_use(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the directory {path:?} of the disk tier cannot be used: {error}"))
        .with_source(error)
}

fn prepare(path: &Path, create_dir: bool) -> Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if !create_dir {
                return Err(Error::invalid(format!(
                    "the directory {path:?} of the disk tier does not exist, and create_dir(false) says not to make it"
                )));
            }
            return DirBuilder::new().mode(0o700).create(path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => Error::invalid(format!(
                    "the parent of the directory {path:?} of the disk tier does not exist; only the last level is made"
                )),
                _ => cannot_use(path, e),
            });
        }
        Err(e) => return Err(cannot_use(path, e)),
    };
    if meta.is_symlink() {
        return Err(Error::invalid(format!("{path:?} is a symbolic link; name the directory of the disk tier itself")));
    }
    if !meta.is_dir() {
        return Err(Error::invalid(format!("{path:?} is not a directory, which the disk tier needs")));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(Error::invalid(format!(
            "everybody may write to the directory {path:?}; the disk tier needs one of its own (mode 0700)"
        )));
    }
    Ok(())
}

/// Returns what names the present run of the machine; empty where the system has no such thing.
pub(crate) fn boot_id() -> Vec<u8> {
    let read = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    read.trim_ascii().to_vec()
}
