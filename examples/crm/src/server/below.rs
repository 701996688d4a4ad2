//! What is below memory: a disk of this process, or a Redis that several nodes share.

use std::path::PathBuf;

use stratacache::{Disk, Redis, tier::TierParts};

/// What is below memory. Not shown by `Debug`: the URL may hold a password.
#[derive(Clone)]
pub(crate) enum Below {
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

impl Below {
    pub(crate) async fn open(&self) -> Result<TierParts, stratacache::Error> {
        match self {
            Self::Disk(folder) => Ok(Disk::builder(folder).capacity(256 << 20).open().await?.into()),
            // it brings the coordinator: what one node invalidates, no node serves
            Self::Redis { url, prefix } => Ok(Redis::builder(url).prefix(prefix).build().await?.into()),
        }
    }
}
