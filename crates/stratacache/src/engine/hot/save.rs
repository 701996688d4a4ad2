//! Saving hot keys when the cache closes, and reading them when it starts. Neither fails: it is said in an event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use stratacache_core::{
    Codec, EntryCheck, EntryName, Error, ErrorKind, NamespacePath, Result, TenantId,
    envelope::{self, Compression, Head},
    event::EventKind,
    stamp::{Incarnation, Position},
};
use tokio::time::timeout;

use super::{
    HotKeys, HotTenant,
    file::{self, Section},
};
use crate::{
    engine::{Door, Engine, Space, seal::Seal},
    spawn::blocking,
};

/// Where a sealed list belongs, in the place of a tier and a key.
const PLACE: &str = "hot keys";

/// Tells whoever works for a future that it is gone.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Engine {
    /// Writes the hottest keys to their file, if there is one. What memory holds must still be there.
    pub(in crate::engine) async fn save_hot_keys(self: &Arc<Self>) {
        let Some(hot) = &self.hot_keys else { return };
        match self.try_save(hot).await {
            Ok(keys) => {
                tracing::debug!(keys, "hot keys were saved");
                self.report(None, EventKind::HotKeysSaved { keys });
            }
            Err(error) => {
                tracing::warn!(%error, "hot keys could not be saved");
                self.report(None, EventKind::HotKeysNotSaved { message: error.to_string() });
            }
        }
    }

    async fn try_save(self: &Arc<Self>, hot: &HotKeys) -> Result<usize> {
        let found = self.gather(hot).await?;
        let keys = found.iter().flat_map(|tenant| &tenant.groups).map(|group| group.keys.len()).sum();
        let write = async {
            let mut sections = Vec::with_capacity(found.len());
            for tenant in &found {
                sections.extend(self.section_of(tenant).await);
            }
            let contents = file::encode(&self.deployment, self.timeline.now(), &sections);
            let path = hot.path.clone();
            blocking(move || file::write(&path, &contents)).await?.map_err(|error| failed("written", error))
        };
        let late = || Error::new(ErrorKind::Timeout, "it took longer than the deadline of hot_keys");
        timeout(hot.deadline, write).await.map_err(|_| late())??;
        Ok(keys)
    }

    /// Looks for the hottest keys, until the deadline.
    async fn gather(self: &Arc<Self>, hot: &HotKeys) -> Result<Vec<HotTenant>> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, most, told) = (Arc::clone(self), hot.max_keys, Arc::clone(&stop));
        let mut work = std::pin::pin!(blocking(move || engine.hot_keys(most, &told)));
        let dropped = Stop(stop);
        if let Ok(found) = timeout(hot.deadline, &mut work).await {
            return found;
        }
        drop(dropped);
        work.await
    }

    /// Returns a tenant's keys as they lie in the file: sealed, where the cache encrypts; none, if its keys cannot be had.
    async fn section_of(self: &Arc<Self>, hot: &HotTenant) -> Option<Section> {
        let tenant = hot.tenant.clone();
        let keys = Bytes::from(file::encode_groups(&hot.groups));
        if self.sealing.is_none() {
            return Some(Section { tenant, sealed: false, keys });
        }
        let seal = self.seal_of(&self.door_of(&tenant), None).await;
        let plain = envelope::encode(&head(keys.len()), &keys).ok()?;
        let keys = seal.close(&tenant, PLACE, name(), &plain).ok()?;
        Some(Section { tenant, sealed: true, keys })
    }

    /// Reads the keys that another process has saved. What is of no use is left out, and said in an event.
    pub(crate) async fn saved_hot_keys(self: &Arc<Self>) -> Vec<HotTenant> {
        let Some(hot) = &self.hot_keys else { return Vec::new() };
        let sections = match self.read_sections(hot).await {
            Ok(sections) => sections,
            Err(reason) => {
                self.ignore_hot_keys(reason);
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for section in sections {
            let groups = match self.open_section(&section).await {
                Some(keys) => file::decode_groups(&keys, self.limits.max_namespace_depth),
                None => None,
            };
            match groups {
                Some(groups) => all.push(HotTenant { tenant: section.tenant, groups }),
                None => self.ignore_hot_keys("a tenant's keys cannot be decrypted"),
            }
        }
        all
    }

    async fn read_sections(&self, hot: &HotKeys) -> Result<Vec<Section>, &'static str> {
        let path = hot.path.clone();
        let read = timeout(hot.deadline, blocking(move || file::read(&path))).await;
        let Ok(Ok(Ok(contents))) = read else { return Err("it cannot be read") };
        let Some(contents) = contents else { return Ok(Vec::new()) };
        let (written, sections) = file::decode(&self.deployment, &contents)?;
        if Duration::from_millis(self.timeline.now().saturating_sub(written)) > hot.max_age {
            return Err("older than max_age");
        }
        Ok(sections)
    }

    /// Returns a tenant's keys in the clear, if this cache can read them. Those that were written in the clear are nothing to one
    /// that encrypts.
    async fn open_section(self: &Arc<Self>, section: &Section) -> Option<Bytes> {
        if self.sealing.is_none() {
            return (!section.sealed).then(|| section.keys.clone());
        }
        let id = envelope::sealed_by(&section.keys).filter(|_| section.sealed)?;
        let seal: Seal = self.seal_of(&self.door_of(&section.tenant), Some(id)).await;
        let (_, keys) = seal.open(&section.tenant, PLACE, name(), &section.keys).ok()?;
        Some(keys)
    }

    fn ignore_hot_keys(&self, reason: &'static str) {
        tracing::warn!(reason, "saved hot keys are ignored");
        self.report(None, EventKind::HotKeysIgnored { reason });
    }

    /// Returns the door to the root of a tenant.
    fn door_of(self: &Arc<Self>, id: &TenantId) -> Door {
        let tenant = self.tenants.get(id, &self.mirror, &self.deployment, &self.limits);
        let root = NamespacePath::default();
        let make = || Space::new(&self.deployment, &self.ledger, id, root.clone(), self.shared);
        let space = tenant.space(&root, make);
        Door::bare(Arc::clone(self), tenant, space, self.default_policy.consistency_mode())
    }
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the file of hot keys could not be {what}")).with_source(error)
}

/// Returns the name that a sealed list has instead of that of an entry.
fn name() -> EntryName {
    EntryName::from_bytes([0; 16])
}

/// Returns the head of a list that is to be sealed: only its length says anything.
fn head(length: usize) -> Head {
    let nowhere = Position { incarnation: Incarnation(0), seq: 0 };
    Head {
        absent: false,
        older_than_token: false,
        codec: Codec::MessagePack,
        compression: Compression::None,
        check: EntryCheck::from_bytes([0; 16]),
        id: 0,
        stamp: nowhere,
        own: 0,
        global: nowhere,
        tenant: 0,
        created: 0,
        fresh_until: 0,
        revalidate_until: 0,
        error_until: 0,
        load_ms: 0,
        tags: Vec::new(),
        global_tags: Vec::new(),
        etag: None,
        raw_len: length as u32,
        key: None,
    }
}
