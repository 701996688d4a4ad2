//! Master keys that the process itself holds.

use std::{
    fmt,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use aws_lc_rs::digest;
use stratacache_core::{
    Error, ErrorKind, Result, TenantId,
    encryption::{Cipher, NONCE, Sealed, TAG},
};
use zeroize::{Zeroize, Zeroizing};

use crate::{KeyWrap, aes::Aes, hex, random};

/// Bytes of the name of a master key.
const ID: usize = 8;
/// Bytes of a wrapped data key: the master key's name, nonce, key and tag.
const WRAPPED: usize = ID + NONCE + 32 + TAG;
/// Told apart from envelopes.
const DOMAIN: &[u8] = b"strata data key 1";

/// A key that wraps data keys. Its 32 bytes are wiped when it is dropped, and are in no `Debug`.
///
/// ```
/// use stratacache_encryption::MasterKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("master.key");
/// MasterKey::create_file(&path)?; // once: 64 hexadecimal digits, which only the owner may read
/// let master = MasterKey::from_file(&path)?;
/// assert!(MasterKey::create_file(&path).is_err(), "a key is never overwritten");
/// # drop(master);
/// # Ok(()) }
/// ```
pub struct MasterKey {
    id: [u8; ID],
    cipher: Aes,
}

impl MasterKey {
    /// Takes the 32 bytes of a master key, and wipes them where they were. They must come from a generator of random bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) when all bytes are the same: no generator
    /// made those.
    pub fn take(secret: &mut [u8; 32]) -> Result<Self> {
        if secret.iter().all(|byte| *byte == secret[0]) {
            return Err(Error::invalid("the master key is 32 times the same byte; it must be 32 random bytes"));
        }
        let mut named = Zeroizing::new([0; 64]);
        let label = b"strata master key name 1";
        named[..label.len()].copy_from_slice(label);
        named[32..].copy_from_slice(secret);
        let digest = digest::digest(&digest::SHA256, &*named);
        let cipher = Aes::new(secret)?;
        secret.zeroize();
        Ok(Self { id: std::array::from_fn(|i| digest.as_ref()[i]), cipher })
    }

    /// Makes a new master key that is kept nowhere: for tests, and for caches whose tiers may be cold after a restart.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        random::fill(&mut *secret)?;
        Self::take(&mut secret)
    }

    /// Writes a new master key into a new file that only its owner may read (0600).
    ///
    /// # Errors
    /// When the file exists already, or cannot be written.
    pub fn create_file(path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut secret = Zeroizing::new([0; 32]);
        random::fill(&mut *secret)?;
        let mut text = Zeroizing::new(hex::encode(&*secret));
        text.push('\n');
        let failed = |error: std::io::Error| {
            let what = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "exists already, and a master key is never overwritten"
            } else {
                "cannot be written"
            };
            Error::invalid(format!("the master key file {what}: {}", path.display())).with_source(error)
        };
        // whole before it has its name: nobody reads half a key, and a crash leaves none
        let mut id = [0; 8];
        random::fill(&mut id)?;
        let new = path.with_added_extension(hex::encode(&id));
        let written = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::hard_link(&new, path) // fails where there is one
        };
        let done = written();
        let removed = std::fs::remove_file(&new);
        done.and(removed).map_err(failed)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Reads a master key from a file: 64 hexadecimal digits, and nothing else but white space around them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) when the file cannot be read, when others than
    /// its owner may read or write it (`chmod 600`), or when it holds something else.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |what: &str| Error::invalid(format!("the master key file {what}: {}", path.display()));
        let mut file = std::fs::File::open(path).map_err(|error| failed("cannot be read").with_source(error))?;
        let metadata = file.metadata().map_err(|error| failed("cannot be read").with_source(error))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(failed("belongs to another user (run this as its owner, or chown it)"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(failed("is open to others than its owner (chmod 600)"));
        }
        // no more than a key and some white space, so that no buffer grows and leaves a copy behind
        let mut text = Zeroizing::new([0; 256]);
        let mut length = 0;
        loop {
            match file.read(&mut text[length..]).map_err(|error| failed("cannot be read").with_source(error))? {
                0 => break,
                read => length += read,
            }
        }
        let digits = std::str::from_utf8(&text[..length]).unwrap_or_default().trim();
        let bytes = Zeroizing::new(hex::decode(digits).unwrap_or_default());
        let mut secret = Zeroizing::new(
            <[u8; 32]>::try_from(&bytes[..]).map_err(|_| failed("does not hold 64 hexadecimal digits"))?,
        );
        Self::take(&mut secret)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &hex::encode(&self.id)).finish_non_exhaustive()
    }
}

/// The master keys of a process: one that wraps, and those before it, with which data keys may still be wrapped.
///
/// To change the master key: give every node the new one as current and the old one as older; call
/// [`FileKeys::rewrap`](crate::FileKeys::rewrap) once; leave the old one out. Nothing is flushed.
#[derive(Debug)]
pub struct MasterKeys {
    current: MasterKey,
    older: Vec<MasterKey>,
}

impl MasterKeys {
    /// Wraps with this key.
    #[must_use]
    pub fn new(current: MasterKey) -> Self {
        Self { current, older: Vec::new() }
    }

    /// Knows an older key, too.
    #[must_use]
    pub fn also(mut self, older: MasterKey) -> Self {
        self.older.push(older);
        self
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self::new(current)
    }
}

fn context_of(tenant: &TenantId, id: &[u8; ID]) -> Vec<u8> {
    [DOMAIN, id, tenant.as_str().as_bytes()].concat()
}

impl KeyWrap for MasterKeys {
    async fn wrap(&self, tenant: &TenantId, secret: &[u8; 32]) -> Result<Vec<u8>> {
        let MasterKey { id, cipher } = &self.current;
        let mut text = Zeroizing::new(*secret);
        let sealed = cipher
            .seal(&context_of(tenant, id), &mut *text)
            .map_err(|error| Error::new(ErrorKind::Internal, "a data key cannot be wrapped").with_source(error))?;
        Ok([&id[..], &sealed.nonce, &text[..], &sealed.tag].concat())
    }

    async fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Box<[u8; 32]>> {
        let wrapped: &[u8; WRAPPED] = wrapped
            .try_into()
            .map_err(|_| Error::new(ErrorKind::Corrupt, "a wrapped data key does not have the length of one"))?;
        let (id, rest) = wrapped.split_at(ID);
        let mut known = std::iter::once(&self.current).chain(&self.older);
        let MasterKey { id, cipher } = known.find(|master| master.id == id).ok_or_else(|| {
            let id = hex::encode(id);
            Error::new(
                ErrorKind::Corrupt,
                format!("a data key is wrapped with the master key {id}: give it, too (MasterKeys::also)"),
            )
        })?;
        let (nonce, rest) = rest.split_at(NONCE);
        let (text, tag) = rest.split_at(32);
        let sealed = Sealed { nonce: std::array::from_fn(|i| nonce[i]), tag: std::array::from_fn(|i| tag[i]) };
        // decrypted where it stays
        let mut secret = Box::new(std::array::from_fn(|i| text[i]));
        cipher.open(&context_of(tenant, id), &sealed, &mut secret[..]).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "a wrapped data key is damaged, or another tenant's").with_source(error)
        })?;
        Ok(secret)
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.starts_with(&self.current.id)
    }
}
