//! Keys that a tier below memory holds and that match a pattern, for operators.

use std::{collections::HashSet, fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use stratacache_core::{
    EntryName, Error, ErrorKind, Glob, IntoTargets, KeyView, Result, Target,
    envelope::{self, EnvelopeError},
    tier::{GetMany, ScanRequest, ScannedEntry, TierScan},
};

use super::{Door, Engine, FoundKey, TierHandle, find::MOST_BYTES, lower::ByKey};

/// So many entries are read from the tier at once, to be judged.
const AT_ONCE: usize = 32;

/// Where a scan goes on. As text it can be kept until the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanCursor {
    tier: String,
    at: String,
}

impl fmt::Display for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tier, self.at)
    }
}

impl FromStr for ScanCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').ok_or_else(|| {
            Error::invalid("this is not the text of a scan's cursor: give what `ScanCursor::to_string` gave")
        })?;
        Ok(Self { tier: parts.0.to_owned(), at: parts.1.to_owned() })
    }
}

/// Keys of one namespace that a tier below memory holds. Given to [`Namespace::invalidate`](crate::Namespace::invalidate) of the same
/// namespace, exactly these are invalidated, in every tier.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ScannedKeys {
    /// The keys, sorted as they are shown.
    pub keys: Vec<FoundKey>,
    /// How many entries of the tier were looked at, those of others among them.
    pub examined: u64,
    /// How many could not be read: no envelopes, or of another version; damaged, or sealed with a key that the tenant does not have.
    pub skipped: u64,
    /// Where to go on; `None` when all was seen.
    pub cursor: Option<ScanCursor>,
}

impl IntoTargets for ScannedKeys {
    fn into_targets(self) -> Vec<Target> {
        self.keys.iter().map(|key| Target::encoded(&key.encoded)).collect()
    }
}

/// What is asked of a scan, checked.
pub(crate) struct ScanPlan {
    pub(crate) glob: Glob,
    pub(crate) keyspace: Option<String>,
    pub(crate) limit: usize,
    pub(crate) examine: u64,
    pub(crate) batch: usize,
    pub(crate) pause: Duration,
    pub(crate) from: Option<ScanCursor>,
}

impl ScanPlan {
    /// Tells whether a key is one that is looked for.
    fn wants(&self, key: &[u8]) -> bool {
        let wanted = |view: &KeyView<'_>| {
            self.keyspace.as_deref().is_none_or(|name| view.keyspace() == Some(name)) && self.glob.matches(view)
        };
        KeyView::of(key).as_ref().is_some_and(wanted)
    }
}

impl Engine {
    /// Walks through a tier, page by page.
    pub(crate) async fn scan_keys(&self, door: &Door, scan: &impl TierScan, plan: &ScanPlan) -> Result<ScannedKeys> {
        let tier = self.scanned_tier(scan.tier())?;
        let mut at = match &plan.from {
            Some(cursor) if cursor.tier != scan.tier() => {
                return Err(Error::invalid(format!(
                    "the cursor is of a scan of the tier `{}`, and this is one of `{}`",
                    cursor.tier,
                    scan.tier()
                )));
            }
            from => from.as_ref().map(|cursor| cursor.at.clone()),
        };
        let (mut found, mut seen, mut bytes) = (ScannedKeys::default(), HashSet::new(), 0);
        loop {
            let request = ScanRequest::new(door.tenant.scope_low, at, plan.batch);
            let mut page = scan.page(request).await?;
            found.examined += page.examined;
            found.skipped += page.skipped;
            // a walk may come upon an entry twice; of a key in the clear it is known before the entry is read whether it is wanted
            page.entries.retain(|entry| {
                entry.key().is_none_or(|key| self.name(door, key) == entry.name && plan.wants(key))
                    && seen.insert(entry.name)
            });
            for entries in page.entries.chunks(AT_ONCE) {
                let keys = self.judge_scanned(door, tier, plan, entries, &mut found.skipped).await?;
                bytes += keys.iter().map(|key| key.shown.len() + key.encoded.len()).sum::<usize>();
                found.keys.extend(keys);
            }
            at = page.cursor;
            let is_enough = found.keys.len() >= plan.limit || found.examined >= plan.examine || bytes > MOST_BYTES;
            if at.is_none() || is_enough {
                break;
            }
            tokio::time::sleep(plan.pause).await;
        }
        found.cursor = at.map(|at| ScanCursor { tier: scan.tier().to_owned(), at });
        found.keys.sort_by(|a, b| (&a.shown, &a.encoded).cmp(&(&b.shown, &b.encoded)));
        Ok(found)
    }

    fn scanned_tier(&self, name: &str) -> Result<&TierHandle> {
        self.tiers.iter().find(|tier| *tier.name == *name).ok_or_else(|| {
            let names: Vec<&str> = self.tiers.iter().map(|tier| &*tier.name).collect();
            Error::invalid(format!(
                "the scan is of a tier `{name}`, and this cache has {}: scan with a cache that has the tiers of the nodes",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ))
        })
    }

    /// Reads entries as every reader does, and returns the keys of those that could be served.
    async fn judge_scanned(
        &self,
        door: &Door,
        tier: &TierHandle,
        plan: &ScanPlan,
        entries: &[ScannedEntry],
        skipped: &mut u64,
    ) -> Result<Vec<FoundKey>> {
        if self.floor(&door.tenant).is_some() {
            let message =
                "this node does not hear of invalidations, and cannot tell which entries are valid: try again";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let (fill, _) = self.mirror.begin_fill(&door.tenant.marks);
        let got = tier.get_many(GetMany::new(entries.iter().map(|entry| entry.name).collect())).await?;
        let mut keys = Vec::new();
        for (entry, got) in entries.iter().zip(got) {
            let Some(bytes) = got.envelope else { continue }; // it is gone, or of a history that has ended
            let (key, head) = match self.open_scanned(door, tier, entry.name, &bytes).await {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(_) => {
                    *skipped += 1;
                    continue;
                }
            };
            if !plan.wants(&key) {
                continue;
            }
            let verdict = self.envelope_verdict(tier, door, &key, (fill.began(), ByKey::Marks), &head);
            let Some(times) = verdict.map(|expired_at| self.believable(&head, expired_at)) else { continue };
            let now = self.timeline.now();
            if times.useful_until() <= now {
                continue;
            }
            let Some(view) = KeyView::of(&key) else { continue };
            let weight = bytes.len() as u64;
            keys.push(FoundKey::new(&view, key.to_vec(), head.absent, (times.created, times.fresh_until), now, weight));
        }
        Ok(keys)
    }

    /// Opens an entry and returns its key; nothing if it is of another namespace, or keeps no key any more.
    async fn open_scanned(
        &self,
        door: &Door,
        tier: &TierHandle,
        name: EntryName,
        bytes: &Bytes,
    ) -> Result<Option<(Bytes, envelope::Head)>, EnvelopeError> {
        let seal = self.seal_of(door, envelope::sealed_by(bytes)).await;
        let (head, _) = seal.open(&door.tenant.id, &tier.name, name, bytes)?;
        let Some(key) = head.key.clone() else { return Ok(None) };
        let is_of_here = self.deployment.check(&door.tenant.id, door.space.prefix.path(), &key) == head.check;
        Ok(is_of_here.then_some((key, head)))
    }
}
