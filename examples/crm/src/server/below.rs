//! What is below memory: a disk of this process, or a Redis that several nodes share; and below that, if wanted, an object store.

use std::{fmt, path::PathBuf};

use stratacache::{Disk, Error, Object, Redis, tier::TierParts};

/// What is below memory, from the top. Not shown by `Debug`: it may hold passwords.
#[derive(Clone)]
pub(crate) struct Below {
    pub(crate) near: Near,
    pub(crate) object: Option<ObjectStore>,
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
    /// Opens the tiers.
    pub(crate) async fn open(&self) -> Result<Vec<TierParts>, Error> {
        let mut tiers: Vec<TierParts> = vec![match &self.near {
            Near::Disk(folder) => Disk::builder(folder).capacity(256 << 20).open().await?.into(),
            // it brings the coordinator: what one node invalidates, no node serves
            Near::Redis { url, prefix } => Redis::builder(url).prefix(prefix).build().await?.into(),
        }];
        if let Some(object) = &self.object {
            tiers.push(object.open().await?.into());
        }
        Ok(tiers)
    }
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
        if self.object.is_some() { f.write_str(" and objects") } else { Ok(()) }
    }
}
