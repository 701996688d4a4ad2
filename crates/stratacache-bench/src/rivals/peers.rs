//! The engines that know no tenants: one cache of all, with a key of tenant and key, their default options and unit weights.

use anyhow::Result;
use foyer::{EvictionConfig, S3FifoConfig};

use super::{Rival, check, lru::Lru, value_of};
use crate::requests::Request;

struct Peer<C> {
    cache: C,
    get: fn(&mut C, Request) -> Option<u32>,
    insert: fn(&mut C, Request, u32),
    held: fn(&mut C) -> u64,
}

impl<C> Rival for Peer<C> {
    fn answer(&mut self, requests: &[Request], answered: &mut dyn FnMut(Request, bool)) -> Result<()> {
        for request in requests {
            let found = (self.get)(&mut self.cache, *request);
            match found {
                Some(value) => check(*request, value)?,
                None => (self.insert)(&mut self.cache, *request, value_of(*request)),
            }
            answered(*request, found.is_some());
        }
        Ok(())
    }

    fn held(&mut self) -> u64 {
        (self.held)(&mut self.cache)
    }
}

pub(super) fn quick_cache(entries: usize) -> Box<dyn Rival> {
    Box::new(Peer {
        cache: quick_cache::sync::Cache::<Request, u32>::new(entries),
        get: |cache, request| cache.get(&request),
        insert: |cache, request, value| cache.insert(request, value),
        held: |cache| cache.len() as u64,
    })
}

pub(super) fn moka(entries: usize) -> Box<dyn Rival> {
    Box::new(Peer {
        cache: moka::sync::Cache::<Request, u32>::new(entries as u64),
        get: |cache, request| cache.get(&request),
        insert: |cache, request, value| cache.insert(request, value),
        held: |cache| {
            cache.run_pending_tasks();
            cache.entry_count()
        },
    })
}

pub(super) fn foyer(entries: usize) -> Box<dyn Rival> {
    let eviction = EvictionConfig::from(S3FifoConfig::default());
    let cache: foyer::Cache<Request, u32> = foyer::CacheBuilder::new(entries).with_eviction_config(eviction).build();
    Box::new(Peer {
        cache,
        get: |cache, request| cache.get(&request).map(|entry| *entry.value()),
        insert: |cache, request, value| drop(cache.insert(request, value)),
        held: |cache| cache.entries() as u64,
    })
}

pub(super) fn lru(entries: usize) -> Box<dyn Rival> {
    Box::new(Peer {
        cache: Lru::<Request>::new(entries),
        get: |cache, request| cache.get(request),
        insert: |cache, request, value| cache.insert(request, value),
        held: |cache| cache.len() as u64,
    })
}
