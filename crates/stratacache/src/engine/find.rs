//! Keys of memory that match a pattern, for operators.

use std::{fmt, time::Duration};

use serde::Serialize;
use stratacache_core::{Glob, IntoTargets, KeyView, Target, clock::Millis};

use super::{Door, Engine, Standing};

/// What is shown of all keys together is no more than this.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// A key that memory holds, or a tier below it. Made by [`Namespace::find_keys`](crate::Namespace::find_keys) and
/// [`Namespace::scan_keys`](crate::Namespace::scan_keys). `Debug` prints no key.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoundKey {
    /// The key as people read it, which is also a pattern that it matches: see [`Glob`].
    pub shown: String,
    /// The name of its keyspace, if it has one.
    pub keyspace: Option<String>,
    /// The version of its keyspace; 0 without one.
    pub version: u32,
    /// The key, encoded.
    pub encoded: Vec<u8>,
    /// Whether it stands for a known absence.
    pub absent: bool,
    /// How long ago its entry was made.
    pub age: Duration,
    /// How long its entry is still fresh.
    pub fresh_for: Duration,
    /// What its entry weighs in memory, or the length of its envelope below, in bytes.
    pub weight: u64,
}

impl FoundKey {
    /// Makes it; the times are when the entry was made, and until when it is fresh.
    pub(super) fn new(
        view: &KeyView<'_>,
        encoded: Vec<u8>,
        absent: bool,
        (created, fresh_until): (Millis, Millis),
        now: Millis,
        weight: u64,
    ) -> Self {
        Self {
            shown: view.to_string(),
            keyspace: view.keyspace().map(str::to_owned),
            version: view.version(),
            encoded,
            absent,
            age: Duration::from_millis(now.saturating_sub(created)),
            fresh_for: Duration::from_millis(fresh_until.saturating_sub(now)),
            weight,
        }
    }
}

impl fmt::Debug for FoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundKey")
            .field("keyspace", &self.keyspace)
            .field("bytes", &self.encoded.len())
            .finish_non_exhaustive()
    }
}

/// Keys of one namespace that memory holds. Given to [`Namespace::invalidate`](crate::Namespace::invalidate) of the same namespace, exactly these are
/// invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FoundKeys {
    /// The keys, sorted as they are shown.
    pub keys: Vec<FoundKey>,
    /// Whether there are more that match.
    pub more: bool,
}

impl IntoTargets for FoundKeys {
    fn into_targets(self) -> Vec<Target> {
        self.keys.iter().map(|key| Target::encoded(&key.encoded)).collect()
    }
}

impl Engine {
    /// Looks at every key that memory holds of a namespace. It takes a while: not for a worker.
    pub(crate) fn find_keys(&self, door: &Door, glob: &Glob, keyspace: Option<&str>, most: usize) -> FoundKeys {
        let (mut found, mut bytes) = (FoundKeys::default(), 0);
        let Some(partition) = door.tenant.partition() else { return found };
        let (now, path) = (self.timeline.now(), door.space.prefix.path());
        let usable = self.floor(&door.tenant).map_or(Standing::Current, Standing::OnlyAfter);
        partition.for_each_shard(
            |slot| slot.head().key.path() == path,
            |slots| {
                for slot in slots {
                    let key = slot.head().key.key();
                    let Some(view) = KeyView::of(key) else { continue };
                    if keyspace.is_some_and(|name| view.keyspace() != Some(name)) || !glob.matches(&view) {
                        continue;
                    }
                    let served = usable.admits(slot.meta()) && slot.useless_at() > now;
                    if !served || !self.admissible(door, key, &slot) {
                        continue;
                    }
                    if found.keys.len() == most || bytes > MOST_BYTES {
                        found.more = true;
                        return false;
                    }
                    let times = (slot.times().created, slot.times().fresh_until);
                    let weight = u64::from(slot.meta().weight);
                    let key = FoundKey::new(&view, key.to_vec(), slot.is_absent(), times, now, weight);
                    bytes += key.shown.len() + key.encoded.len();
                    found.keys.push(key);
                }
                true
            },
        );
        found.keys.sort_by(|a, b| (&a.shown, &a.encoded).cmp(&(&b.shown, &b.encoded)));
        found
    }
}
