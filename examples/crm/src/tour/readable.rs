//! What somebody finds who copies the folders that lie below memory.
#![allow(clippy::print_stdout, reason = "the report is what the program prints")]

use std::{fs, io, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use super::table::{grouped, line};
use crate::server::{Extras, ObjectStore};

/// In the address of every contact.
const ADDRESS: &[u8] = b"@company-";

/// What was found.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Readable {
    /// It should be encrypted.
    encrypted: bool,
    files: u64,
    /// Files in which an address can be read. Large values are compressed, so not every file shows one.
    readable: u64,
}

impl Readable {
    /// Looks into the folders of the tour: the disk, and the objects if they are in a folder.
    pub(super) fn look(folder: &Path, extras: &Extras) -> Result<Self> {
        let mut found = Self { encrypted: extras.keys.is_some(), ..Self::default() };
        let disk = folder.join("tour-cache");
        let objects = match &extras.object {
            Some(ObjectStore::Directory(folder)) => Some(folder.as_path()),
            _ => None,
        };
        for folder in [Some(disk.as_path()), objects].into_iter().flatten().filter(|folder| folder.exists()) {
            found.look_into(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(found)
    }

    fn look_into(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.look_into(&path)?;
                continue;
            }
            let holds = fs::read(&path)?.windows(ADDRESS.len()).any(|window| window == ADDRESS);
            self.files += 1;
            self.readable += u64::from(holds);
        }
        Ok(())
    }

    /// Adds what did not hold, in words.
    pub(super) fn check(&self, failures: &mut Vec<String>) {
        if self.encrypted && self.readable > 0 {
            failures.push(format!("an address can be read in {} of {} files", self.readable, self.files));
        }
    }

    pub(super) fn print(&self) {
        let how = if self.encrypted { "encrypted" } else { "not encrypted" };
        let (files, readable) = (grouped(self.files), grouped(self.readable));
        line("files below memory", format!("{files}, {how}; an address can be read in {readable}"));
    }
}
