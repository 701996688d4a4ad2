//! Opening the directory: who may use it, and what else must not be there.

use std::{
    fs::DirBuilder,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use stratacache_core::{Error, ErrorKind, Result};

/// Where files are written before they get their names.
pub(super) const TMP: &str = "tmp";

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn cannot_use(path: &Path, error: impl Into<io::Error>) -> Error {
    let error = error.into();
    Error::new(ErrorKind::Unavailable, format!("the directory {path:?} of the object tier cannot be used: {error}"))
        .with_source(error)
}

/// Returns the directory, and the one in it for files that have no name yet.
pub(super) fn open(path: &Path, create_dir: bool) -> Result<(OwnedFd, OwnedFd)> {
    prepare(path, create_dir)?;
    let failed = |error| cannot_use(path, error);
    let root = openat(CWD, path, OPEN, Mode::empty()).map_err(failed)?;
    match mkdirat(&root, TMP, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    let tmp = openat(&root, TMP, OPEN, Mode::empty()).map_err(|error| {
        Error::invalid(format!("{TMP:?} in the directory {path:?} of the object tier must be a directory: {error}"))
    })?;
    Ok((root, tmp))
}

fn prepare(path: &Path, create_dir: bool) -> Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if !create_dir {
                return Err(Error::invalid(format!(
                    "the directory {path:?} of the object tier does not exist, and create_dir(false) says not to make it"
                )));
            }
            return match DirBuilder::new().mode(0o700).create(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::invalid(format!(
                    "the parent of the directory {path:?} of the object tier does not exist; only the last level is made"
                ))),
                // another node made it just now
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => prepare(path, false),
                other => other.map_err(|e| cannot_use(path, e)),
            };
        }
        Err(e) => return Err(cannot_use(path, e)),
    };
    if meta.is_symlink() {
        return Err(Error::invalid(format!(
            "{path:?} is a symbolic link; name the directory of the object tier itself"
        )));
    }
    if !meta.is_dir() {
        return Err(Error::invalid(format!("{path:?} is not a directory, which the object tier needs")));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(Error::invalid(format!(
            "everybody may write to the directory {path:?}; the object tier needs one of its own (mode 0700)"
        )));
    }
    Ok(())
}
