//! Objects of a bucket, through `object_store`. None of its types leaves this room.

mod connect;
mod http;
mod understand;

use std::{fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    path::Path,
};
use stratacache_core::Result;

use self::understand::understood;
use crate::{
    access::Access,
    failure::Failure,
    listed::{Listed, Page},
    names::{self, ObjectName},
    place::Kind,
    prefix::Prefix,
};

/// A bucket, or container, and the prefix of ours in it.
pub(crate) struct Cloud {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the client's own would show what it signs with
        f.debug_struct("Cloud").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Makes a client; nothing is sent yet.
    pub(crate) fn connect(kind: Kind, bucket: &str, prefix: &Prefix, access: &Access, most: u64) -> Result<Self> {
        let store = connect::store(kind, bucket, access, most)?;
        // the prefix was checked: there is nothing in it to be escaped
        Ok(Self { store, prefix: Path::from(prefix.as_str()) })
    }

    fn path(&self, name: ObjectName) -> Path {
        self.prefix.clone().join(name.to_string())
    }

    pub(crate) async fn get(&self, name: ObjectName, most: u64) -> Result<Option<Bytes>, Failure> {
        let result = match self.store.get_opts(&self.path(name), GetOptions::default()).await {
            Ok(result) => result,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(understood(&error)),
        };
        if result.meta.size > most {
            return Err(Failure::Oversized);
        }
        let promised = result.meta.size as usize; // at most `most`, which is far below what is addressed
        let mut parts = result.into_stream();
        let mut first = Bytes::new();
        let mut object = BytesMut::new();
        // memory is taken for what has come; for what was promised when an eighth of it is there
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| understood(&error))?;
            if (first.len() + object.len() + part.len()) as u64 > most {
                return Err(Failure::Oversized);
            }
            if first.is_empty() && object.is_empty() {
                first = part;
                continue;
            }
            if object.is_empty() {
                object.extend_from_slice(&std::mem::take(&mut first));
            }
            if object.len() >= promised / 8 {
                object.reserve(promised.saturating_sub(object.len()).max(part.len()));
            }
            object.extend_from_slice(&part);
        }
        Ok(Some(if object.is_empty() { first } else { object.freeze() }))
    }

    pub(crate) async fn put(&self, name: ObjectName, parts: [Bytes; 2], create: bool) -> Result<(), Failure> {
        let mode = if create { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, ..PutOptions::default() };
        let payload: PutPayload = parts.into_iter().filter(|part| !part.is_empty()).collect();
        match self.store.put_opts(&self.path(name), payload, options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Err(Failure::Exists),
            Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => Err(Failure::Unsupported),
            Err(error) => Err(understood(&error)),
        }
    }

    pub(crate) async fn remove(&self, name: ObjectName) -> Result<(), Failure> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(understood(&error)),
        }
    }

    /// Reads the first bytes of an object, at most so many; `None` if there is none.
    pub(crate) async fn first(&self, name: ObjectName, most: usize) -> Result<Option<Bytes>, Failure> {
        let range = Some(GetRange::Bounded(0..most as u64));
        let options = GetOptions { range, ..GetOptions::default() };
        let result = match self.store.get_opts(&self.path(name), options).await {
            Ok(result) => result,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(understood(&error)),
        };
        let mut parts = result.into_stream();
        let mut first = BytesMut::new();
        while let Some(part) = parts.next().await {
            first.extend_from_slice(&part.map_err(|error| understood(&error))?);
            if first.len() >= most {
                first.truncate(most);
                break;
            }
        }
        Ok(Some(first.freeze()))
    }

    /// Lists objects after a name, in the order of their names, at most so many.
    pub(crate) async fn list(&self, after: Option<ObjectName>, most: usize) -> Result<Page, Failure> {
        let mut objects = match after {
            Some(name) => self.store.list_with_offset(Some(&self.prefix), &self.path(name)),
            None => self.store.list(Some(&self.prefix)),
        };
        let mut page = Page { objects: Vec::new(), last: true };
        while let Some(object) = objects.next().await {
            let object = object.map_err(|error| understood(&error))?;
            let ours = object.location.prefix_match(&self.prefix).is_some_and(|parts| parts.count() == 1);
            let Some(name) = object.location.filename().filter(|_| ours).and_then(names::parse) else { continue };
            if page.objects.len() == most {
                page.last = false;
                break;
            }
            let written = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0);
            page.objects.push(Listed { name, bytes: object.size, written });
        }
        Ok(page)
    }
}
