//! What is below memory: a disk of this process, or a Redis that several nodes share; and below that, if wanted, an object store.
//! All of it may be encrypted.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use stratacache::{CacheBuilder, Disk, Error, FileKeys, MasterKey, Object, Redis};

/// What is below memory, from the top. Not shown by `Debug`: it may hold passwords.
#[derive(Clone)]
pub(crate) struct Below {
    pub(crate) near: Near,
    pub(crate) object: Option<ObjectStore>,
    /// Where the keys of companies are, and the one that wraps them, if all of it is encrypted.
    pub(crate) keys: Option<PathBuf>,
}

/// What is below memory besides the tier next to it.
#[derive(Clone, Default)]
pub(crate) struct Extras {
    pub(crate) object: Option<ObjectStore>,
    /// As in [`Below`].
    pub(crate) keys: Option<PathBuf>,
}

/// The tier next to memory.
#[derive(Clone)]
pub(crate) enum Near {
    /// A folder.
    Disk(PathBuf),
    /// A Redis, and what all keys of this deployment begin with.
    Redis {
        /// Where it is.
        url: String,
        /// The same for all nodes.
        prefix: String,
    },
}

/// Where objects are.
#[derive(Clone)]
pub(crate) enum ObjectStore {
    /// A folder of its own.
    Directory(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

/// A bucket of S3, or of what speaks its language.
#[derive(Clone)]
pub(crate) struct Bucket {
    /// `s3://bucket/prefix`
    pub(crate) url: String,
    /// Where the store is, if not at Amazon.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// Id and secret of an access key; without one, the role of the machine.
    pub(crate) key: Option<(String, String)>,
}

impl Below {
    /// Opens the tiers, and puts them below a cache.
    pub(crate) async fn open(&self, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
        let mut builder = match &self.near {
            Near::Disk(folder) => builder.tier(Disk::builder(folder).capacity(256 << 20).open().await?),
            // it brings the coordinator: what one node invalidates, no node serves
            Near::Redis { url, prefix } => builder.tier(Redis::builder(url).prefix(prefix).build().await?),
        };
        if let Some(object) = &self.object {
            builder = builder.tier(object.open().await?);
        }
        if let Some(folder) = &self.keys {
            builder = builder.encryption(keys_in(folder).await?);
        }
        Ok(builder)
    }
}

/// Opens the keys in a folder, and makes what is missing. Here the master key lies beside the keys that it wraps, which is for
/// trying this out: elsewhere it comes from a vault, or from a file that the backups of the keys do not have.
async fn keys_in(folder: &Path) -> Result<FileKeys, Error> {
    let failed =
        |error: std::io::Error| Error::invalid(format!("{} cannot be made", folder.display())).with_source(error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let master = folder.join("master.key");
    if !master.exists()
        && let Err(error) = MasterKey::create_file(&master)
        // another node may have been first
        && !master.exists()
    {
        return Err(error);
    }
    FileKeys::open(folder.join("companies"), MasterKey::from_file(master)?).await
}

impl ObjectStore {
    async fn open(&self) -> Result<Object, Error> {
        let bucket = match self {
            Self::Directory(folder) => return Object::directory(folder).open().await,
            Self::Bucket(bucket) => bucket,
        };
        let mut builder = Object::builder(&bucket.url);
        if let Some(endpoint) = &bucket.endpoint {
            // a store on this machine, for trying this out
            builder = builder.allow_http(endpoint.starts_with("http://")).endpoint(endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.region(region);
        }
        if let Some((id, secret)) = &bucket.key {
            builder = builder.access_key(id, secret);
        }
        builder.open().await
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.near {
            Near::Disk(_) => "disk",
            Near::Redis { .. } => "Redis",
        })?;
        if self.object.is_some() {
            f.write_str(" and objects")?;
        }
        if self.keys.is_some() { f.write_str(", encrypted") } else { Ok(()) }
    }
}
