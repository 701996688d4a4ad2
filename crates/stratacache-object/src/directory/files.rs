//! The files themselves. Everything here blocks.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    time::UNIX_EPOCH,
};

use bytes::Bytes;
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, linkat, openat, renameat, unlinkat},
    io::Errno,
};
use stratacache_core::clock::Millis;

use crate::{
    failure::Failure,
    listed::{Listed, Page},
    names::{self, ObjectName},
};

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const WRITE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(super) struct Files {
    root: OwnedFd,
    tmp: OwnedFd,
}

/// Takes away a file without a name when it did not get one.
struct Unnamed<'a> {
    tmp: &'a OwnedFd,
    name: String,
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        // it is gone already when it was renamed
        let _ = unlinkat(self.tmp, &self.name, AtFlags::empty());
    }
}

impl Files {
    pub(super) const fn new(root: OwnedFd, tmp: OwnedFd) -> Self {
        Self { root, tmp }
    }

    /// Opens a file of ours; `None` for what is not there, or is none: a link, a directory, a pipe.
    fn open(&self, name: &str) -> Result<Option<(File, u64)>, Failure> {
        let file = match openat(&self.root, name, READ, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        let length = meta.len();
        Ok(meta.is_file().then_some((file, length)))
    }

    pub(super) fn get(&self, name: &str, most: u64) -> Result<Option<Bytes>, Failure> {
        let Some((file, length)) = self.open(name)? else { return Ok(None) };
        if length > most {
            return Err(Failure::Oversized);
        }
        let mut object = Vec::with_capacity(length as usize);
        // one that grows meanwhile is read no further
        file.take(most + 1).read_to_end(&mut object)?;
        if object.len() as u64 > most { Err(Failure::Oversized) } else { Ok(Some(object.into())) }
    }

    pub(super) fn put(&self, name: &str, parts: &[Bytes], create: bool) -> Result<(), Failure> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Failure::Strange)?;
        let unnamed = Unnamed { tmp: &self.tmp, name: format!("{:032x}", u128::from_le_bytes(random)) };
        let mut file = File::from(openat(&self.tmp, &unnamed.name, WRITE, Mode::RUSR | Mode::WUSR)?);
        for part in parts {
            file.write_all(part)?;
        }
        drop(file);
        // whatever has the name, a link somebody planted among it, gives way; what a link points to is left alone
        if !create {
            return Ok(renameat(&self.tmp, &unnamed.name, &self.root, name)?);
        }
        match linkat(&self.tmp, &unnamed.name, &self.root, name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Failure::Exists),
            Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::MLINK) => Err(Failure::Unsupported),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Failure> {
        match unlinkat(&self.root, name, AtFlags::empty()) {
            // a directory is no entry, and never read as one
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the first bytes of an object, at most so many.
    pub(super) fn first(&self, name: &str, most: usize) -> Result<Option<Bytes>, Failure> {
        let Some((file, _)) = self.open(name)? else { return Ok(None) };
        let mut first = Vec::with_capacity(most);
        file.take(most as u64).read_to_end(&mut first)?;
        Ok(Some(first.into()))
    }

    /// Goes through all names, and keeps the least ones after `after`.
    pub(super) fn list(&self, after: Option<ObjectName>, most: usize) -> Result<Page, Failure> {
        let after = after.map(|name| name.to_string());
        let mut least = BTreeSet::new();
        let mut last = true;
        for each in Dir::read_from(&self.root)? {
            let each = each?;
            let Ok(name) = each.file_name().to_str() else { continue };
            if names::parse(name).is_none() || after.as_deref().is_some_and(|after| name <= after) {
                continue;
            }
            least.insert(name.to_owned());
            if least.len() > most {
                least.pop_last();
                last = false;
            }
        }
        let mut objects = Vec::with_capacity(least.len());
        for called in least {
            let Some((file, bytes)) = self.open(&called)? else { continue };
            let Some(name) = names::parse(&called) else { continue };
            objects.push(Listed { name, bytes, written: written(&file)? });
        }
        Ok(Page { objects, last })
    }

    /// Removes files that were written before a time and never got a name: their process died. Returns how many there were;
    /// with `dry`, none is removed.
    pub(super) fn tidy(&self, before: Millis, dry: bool) -> Result<u64, Failure> {
        let mut left = 0;
        for each in Dir::read_from(&self.tmp)? {
            let each = each?;
            let file = match openat(&self.tmp, each.file_name(), READ, Mode::empty()) {
                Ok(file) => File::from(file),
                // it has its name by now, or is nothing of ours
                Err(_) => continue,
            };
            if !file.metadata()?.is_file() || written(&file)? >= before {
                continue;
            }
            left += 1;
            if !dry {
                unlinkat(&self.tmp, each.file_name(), AtFlags::empty())?;
            }
        }
        Ok(left)
    }
}

/// Returns when a file was written.
fn written(file: &File) -> Result<Millis, Failure> {
    let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(since.as_millis() as Millis)
}
