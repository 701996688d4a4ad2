//! Objects as files of a local directory.
//!
//! Everything goes through the directory that was opened at the start, by names that are hashes, and never through a
//! symbolic link: what somebody plants there leads nowhere.

mod files;
mod open;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use stratacache_core::{Result, clock::Millis};

use files::Files;

use crate::{failure::Failure, listed::Page, names::ObjectName, spawn::Jobs};

/// A directory in use.
#[derive(Debug)]
pub(crate) struct Directory {
    files: Arc<Files>,
    jobs: Jobs,
}

impl Directory {
    /// Opens a directory, and makes it if it may. Blocks.
    pub(crate) fn open(path: &Path, create_dir: bool) -> Result<Self> {
        let (root, tmp) = open::open(path, create_dir)?;
        Ok(Self { files: Arc::new(Files::new(root, tmp)), jobs: Jobs::new() })
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Files) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let files = Arc::clone(&self.files);
        self.jobs.run(move || job(&files)).await
    }

    pub(crate) async fn get(&self, name: ObjectName, most: u64) -> Result<Option<Bytes>, Failure> {
        self.run(move |files| files.get(&name.to_string(), most)).await
    }

    pub(crate) async fn put(&self, name: ObjectName, parts: [Bytes; 2], create: bool) -> Result<(), Failure> {
        self.run(move |files| files.put(&name.to_string(), &parts, create)).await
    }

    pub(crate) async fn remove(&self, name: ObjectName) -> Result<(), Failure> {
        self.run(move |files| files.remove(&name.to_string())).await
    }

    /// Reads the first bytes of an object, at most so many; `None` if there is none.
    pub(crate) async fn first(&self, name: ObjectName, most: usize) -> Result<Option<Bytes>, Failure> {
        self.run(move |files| files.first(&name.to_string(), most)).await
    }

    /// Lists objects after a name, in the order of their names, at most so many.
    pub(crate) async fn list(&self, after: Option<ObjectName>, most: usize) -> Result<Page, Failure> {
        self.run(move |files| files.list(after, most)).await
    }

    /// Counts files of before a time that never got a name, and removes them unless `dry`.
    pub(crate) async fn tidy(&self, before: Millis, dry: bool) -> Result<u64, Failure> {
        self.run(move |files| files.tidy(before, dry)).await
    }
}
