//! A store of objects, whichever it is.

use bytes::Bytes;
use stratacache_core::clock::Millis;

use crate::{cloud::Cloud, directory::Directory, failure::Failure, listed::Page, names::ObjectName};

/// Where the objects are kept.
#[derive(Debug)]
pub(crate) enum Store {
    Cloud(Cloud),
    Directory(Directory),
}

impl Store {
    /// Reads an object of at most so many bytes; `None` if there is none.
    pub(crate) async fn get(&self, name: ObjectName, most: u64) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Cloud(cloud) => cloud.get(name, most).await,
            Self::Directory(directory) => directory.get(name, most).await,
        }
    }

    /// Writes an object made of two parts: over what is there, or only where there is none.
    pub(crate) async fn put(&self, name: ObjectName, parts: [Bytes; 2], create: bool) -> Result<(), Failure> {
        match self {
            Self::Cloud(cloud) => cloud.put(name, parts, create).await,
            Self::Directory(directory) => directory.put(name, parts, create).await,
        }
    }

    /// Removes an object, which need not be there.
    pub(crate) async fn remove(&self, name: ObjectName) -> Result<(), Failure> {
        match self {
            Self::Cloud(cloud) => cloud.remove(name).await,
            Self::Directory(directory) => directory.remove(name).await,
        }
    }

    /// Reads the first bytes of an object, at most so many; `None` if there is none.
    pub(crate) async fn first(&self, name: ObjectName, most: usize) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::Cloud(cloud) => cloud.first(name, most).await,
            Self::Directory(directory) => directory.first(name, most).await,
        }
    }

    /// Lists objects after a name, in the order of their names, at most so many.
    pub(crate) async fn list(&self, after: Option<ObjectName>, most: usize) -> Result<Page, Failure> {
        match self {
            Self::Cloud(cloud) => cloud.list(after, most).await,
            Self::Directory(directory) => directory.list(after, most).await,
        }
    }

    /// Counts what writes of before a time have left behind where they leave something, and removes it unless `dry`.
    pub(crate) async fn tidy(&self, before: Millis, dry: bool) -> Result<u64, Failure> {
        match self {
            Self::Cloud(_) => Ok(0),
            Self::Directory(directory) => directory.tidy(before, dry).await,
        }
    }
}
