//! The source of truth: a file with one version for each key.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::world::{KEYS, Key};

fn path(folder: &Path) -> PathBuf {
    folder.join("source")
}

/// Makes the file: every key has version 0.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    std::fs::write(path(folder), vec![0; KEYS as usize * 8])
}

/// The file. Eight aligned bytes are read and written as one.
#[derive(Debug)]
pub(super) struct Source(File);

impl Source {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).open(path(folder)).map(Self)
    }

    pub(super) fn read(&self, key: Key) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, u64::from(key.0) * 8)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn write(&self, key: Key, version: u64) -> io::Result<()> {
        self.0.write_all_at(&version.to_le_bytes(), u64::from(key.0) * 8)
    }
}
