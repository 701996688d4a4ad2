//! The locks that tasks of this process hold, where it shares them with no other.

use std::{collections::HashMap, future::Future, time::Duration};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use stratacache_core::{Error, ErrorKind, Result, clock::Millis};
use tokio::sync::Notify;

use super::TOKENS_IN_A_MS;
use crate::memory::MapKey;

/// Most locks that a tenant holds at a time.
const MOST: usize = 1 << 14;

/// Which lock.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LockKey {
    pub(super) tenant: u64,
    pub(super) key: MapKey,
}

struct Held {
    token: u64,
    ends_at: Millis,
}

#[derive(Default)]
struct Table {
    /// By tenant: one that holds many keeps no other from its own.
    held: HashMap<u64, HashMap<MapKey, Held, RandomState>, RandomState>,
    last: u64,
}

/// All locks of a process. One that was neither renewed nor released is there until somebody else wants it, or room.
#[derive(Default)]
pub(crate) struct Locks {
    table: Mutex<Table>,
    freed: Notify,
}

fn ms(ttl: Duration) -> Millis {
    Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX)
}

impl Locks {
    /// Takes a lock, and returns its token; `None` if it is held.
    pub(super) fn take(&self, key: &LockKey, now: Millis, ttl: Duration) -> Result<Option<u64>> {
        let mut table = self.table.lock();
        let Table { held, last } = &mut *table;
        let held = held.entry(key.tenant).or_default();
        if held.get(&key.key).is_some_and(|held| held.ends_at > now) {
            return Ok(None);
        }
        if held.len() >= MOST {
            held.retain(|_, held| held.ends_at > now);
            if held.len() >= MOST {
                let message =
                    format!("the tenant holds {MOST} locks, and no more can be; release those that are not needed");
                return Err(Error::new(ErrorKind::Overloaded, message));
            }
        }
        let token = last.saturating_add(1).max(now.saturating_mul(TOKENS_IN_A_MS));
        *last = token;
        held.insert(key.key.clone(), Held { token, ends_at: now.saturating_add(ms(ttl)) });
        Ok(Some(token))
    }

    /// Prolongs a lock; false if it is not its owner's any more.
    pub(super) fn renew(&self, key: &LockKey, token: u64, now: Millis, ttl: Duration) -> bool {
        let mut table = self.table.lock();
        let own = table.held.get_mut(&key.tenant).and_then(|held| held.get_mut(&key.key));
        let own = own.filter(|held| held.token == token && held.ends_at > now);
        own.map(|held| held.ends_at = now.saturating_add(ms(ttl))).is_some()
    }

    /// Ends a lock, if it is its owner's.
    pub(super) fn release(&self, key: &LockKey, token: u64) {
        let mut table = self.table.lock();
        if let Some(held) = table.held.get_mut(&key.tenant) {
            if held.get(&key.key).is_some_and(|held| held.token == token) {
                held.remove(&key.key);
            }
            if held.is_empty() {
                table.held.remove(&key.tenant);
            }
        }
        drop(table);
        self.freed.notify_waiters();
    }

    /// Begins to wait for some lock to be released.
    pub(super) fn freed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.freed.notified()
    }
}
