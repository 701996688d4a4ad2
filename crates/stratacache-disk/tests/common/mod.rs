//! What the tests of the disk tier share.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::{
    EntryName, Scope,
    coordinator::{Applied, MarkJournal, Marked, ScopeKind, Strength},
    stamp::{Incarnation, Lane, Position, Seq},
    tier::{AnyTier, Fence, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier as _, TierError, TierParts},
};
use stratacache_disk::{Disk, DiskBuilder};

/// A time at which nothing in the tests has expired.
pub const NEVER: u64 = u64::MAX;

pub struct Open {
    pub tier: AnyTier,
    pub journal: Arc<dyn MarkJournal>,
}

pub async fn open(builder: DiskBuilder) -> Open {
    from(builder.open().await.unwrap())
}

pub fn from(disk: Disk) -> Open {
    let parts = TierParts::from(disk);
    Open { tier: parts.tier, journal: parts.journal.unwrap() }
}

/// A small store that takes the present run of the machine for one named `boot`.
pub fn small(path: &Path) -> DiskBuilder {
    Disk::builder(path).capacity(1 << 20).boot_id("boot")
}

pub fn name(n: u64) -> EntryName {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    bytes[8..].copy_from_slice(&n.to_le_bytes());
    EntryName::from_bytes(bytes)
}

/// Bytes that say which name and version they belong to, and differ in every place.
pub fn content(n: u64, version: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length.max(16)];
    StdRng::seed_from_u64(n ^ version.rotate_left(32)).fill(&mut bytes[..]);
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes[8..16].copy_from_slice(&version.to_le_bytes());
    bytes.into()
}

/// Checks that bytes are some whole content of a name and returns its version.
pub fn version_of(n: u64, bytes: &Bytes) -> u64 {
    let version = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
    assert!(*bytes == content(n, version, bytes.len()), "a torn or foreign value under name {n}");
    version
}

pub fn mark(seq: Seq, tag: u64, at: u64, incarnation: Incarnation) -> Applied {
    let mut scope = [7; 16];
    scope[..8].copy_from_slice(&tag.to_le_bytes());
    let scope = Scope::from_bytes(scope);
    let marked = Marked::new(scope, ScopeKind::Tag, Strength::Hard, 1);
    Applied::new(Lane::from_index(3).unwrap(), Position { incarnation, seq }, vec![marked], at)
}

impl Open {
    pub async fn try_put(&self, n: u64, bytes: Bytes, expires_at: u64, fence: Option<Fence>) -> PutOutcome {
        let items = vec![PutItem::new(name(n), bytes, expires_at, fence)];
        self.tier.put_many(PutMany::new(items)).await.unwrap().remove(0)
    }

    pub async fn put(&self, n: u64, bytes: Bytes) {
        let outcome = self.try_put(n, bytes, NEVER, None).await;
        assert!(matches!(outcome, PutOutcome::Stored), "{outcome:?}");
    }

    pub async fn get(&self, n: u64) -> Option<Bytes> {
        self.tier.get_many(GetMany::new(vec![name(n)])).await.unwrap().remove(0).envelope
    }

    pub async fn fence(&self, n: u64) -> Fence {
        self.tier.get_many(GetMany::fences(vec![name(n)])).await.unwrap().remove(0).fence.unwrap()
    }

    pub async fn remove(&self, n: u64) -> Result<(), TierError> {
        self.tier.remove_many(RemoveMany::new(vec![name(n)])).await.unwrap().remove(0)
    }

    pub async fn count(&self, names: std::ops::Range<u64>) -> usize {
        let mut found = 0;
        for n in names {
            found += usize::from(self.get(n).await.is_some());
        }
        found
    }

    pub async fn close(self) {
        self.tier.close().await.unwrap();
    }

    pub fn incarnation(&self) -> Incarnation {
        self.journal.load().unwrap().incarnation
    }
}

pub fn files(dir: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// The bytes of the files of entries.
pub fn segment_bytes(dir: &Path) -> u64 {
    files(dir, ".seg").iter().map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len())).sum()
}

pub fn seed() -> u64 {
    let seed = std::env::var("STRATA_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_121);
    println!("seed {seed} (set STRATA_SEED to repeat another)");
    seed
}
