//! One folder of key files: read at any time, changed by one process at a time, each file as a whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind::NotFound, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use stratacache_core::{Error, ErrorKind, Result, TenantId};

use super::record::Records;
use crate::hex;

const LOCK: &str = "lock";
const SUFFIX: &str = ".keys";
/// How often the lock is tried, and how long it is left in between: not quite the time that a cache waits for keys.
const PATIENCE: u32 = 180;
const PAUSE: Duration = Duration::from_millis(10);

/// A folder that only its owner can look into.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Held by the one process that changes files.
struct Locked(#[allow(dead_code, reason = "closing it unlocks")] File);

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::new(ErrorKind::Unavailable, format!("{what}: {}", error.kind())).with_source(error)
}

fn of(tenant: &TenantId, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let message = format!("tenant {tenant}: {what}");
    move |error| Error::new(ErrorKind::Unavailable, format!("{message}: {}", error.kind())).with_source(error)
}

impl Folder {
    /// Opens a folder, or makes it (0700) in one that exists.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let refused = |what: &str| Error::invalid(format!("the folder of keys {what}: {shown}"));
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused("cannot be made").with_source(error)),
        }
        let metadata = fs::metadata(path).map_err(|error| refused("cannot be read").with_source(error))?;
        if !metadata.is_dir() {
            return Err(refused("is no folder"));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(refused("belongs to another user (run this as its owner, or chown it)"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(refused("is open to others than its owner (chmod 700)"));
        }
        let path = path.canonicalize().map_err(|error| refused("cannot be read").with_source(error))?;
        Ok(Self(path))
    }

    /// A tenant's file: its id in hexadecimal digits, so that `Acme` and `acme` are two files everywhere.
    fn path(&self, tenant: &TenantId) -> PathBuf {
        self.0.join(hex::encode(tenant.as_str().as_bytes()) + SUFFIX)
    }

    fn lock(&self) -> Result<Locked> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.0.join(LOCK));
        let file = options.map_err(failed("the lock of the key files cannot be opened"))?;
        // a holder that hangs must not keep threads for ever
        for _ in 0..PATIENCE {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Locked(file)),
                Err(error) if error == Errno::WOULDBLOCK => std::thread::sleep(PAUSE),
                Err(error) => return Err(failed("the key files cannot be locked")(error.into())),
            }
        }
        let message = format!("another process holds the lock of the key files: {}", self.0.join(LOCK).display());
        Err(Error::new(ErrorKind::Timeout, message))
    }

    /// Returns the keys of a tenant; none where it has no file.
    pub(super) fn read(&self, tenant: &TenantId) -> Result<Records> {
        match fs::read(self.path(tenant)) {
            Ok(bytes) => Records::parse(tenant, &bytes),
            Err(error) if error.kind() == NotFound => Ok(Records::of(tenant)),
            Err(error) => Err(of(tenant, "the key file cannot be read")(error)),
        }
    }

    /// Changes the keys of a tenant under the lock, where `change` says that there is something to keep.
    pub(super) fn change(&self, tenant: &TenantId, change: impl FnOnce(&mut Records) -> bool) -> Result<Records> {
        let _locked = self.lock()?;
        let mut records = self.read(tenant)?;
        if change(&mut records) {
            self.write(tenant, &records.to_bytes()?)?;
        }
        Ok(records)
    }

    /// Writes a file beside the old one, and puts it in its place when it is whole and on the device.
    fn write(&self, tenant: &TenantId, bytes: &[u8]) -> Result<()> {
        let path = self.path(tenant);
        let new = path.with_extension("new"); // one at a time: what a crash left is overwritten
        let written = || -> io::Result<()> {
            match fs::remove_file(&new) {
                Err(error) if error.kind() != NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            self.sync()
        };
        written().map_err(of(tenant, "the key file cannot be written"))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Removes the file of a tenant, and what a crash may have left of one.
    pub(super) fn remove(&self, tenant: &TenantId) -> Result<()> {
        let _locked = self.lock()?;
        let path = self.path(tenant);
        let removed = || -> io::Result<()> {
            for path in [&path.with_extension("new"), &path] {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != NotFound => return Err(error),
                    _ => {}
                }
            }
            self.sync()
        };
        removed().map_err(of(tenant, "the key file could not be removed; it may be left"))
    }

    /// Returns the tenants that have a file.
    pub(super) fn tenants(&self) -> Result<Vec<TenantId>> {
        let unreadable = || failed("the folder of keys cannot be read");
        let mut tenants = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(unreadable())? {
            let name = entry.map_err(unreadable())?.file_name();
            let Some(digits) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
            let id = hex::decode(digits).and_then(|bytes| String::from_utf8(bytes).ok());
            let global = TenantId::global();
            match id {
                Some(id) if id == global.as_str() => tenants.push(global),
                Some(id) => tenants.extend(TenantId::parse(id).ok()),
                None => {} // not ours
            }
        }
        Ok(tenants)
    }

    pub(super) fn shown(&self) -> &Path {
        &self.0
    }
}
