//! What the processes of the crash campaign cache: whose value it is, what it depends on, and how it is judged.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use stratacache::{Cache, CacheBuilder, Codec, Disk, Namespace, Policy, Result, TenantId, WriteMode, hours, seconds};

pub const TENANTS: u32 = 3;
/// Namespaces of a tenant: `a`, `b`, and `a/b`, which is cleared with `a` too.
pub const SPACES: u32 = 3;
pub const KEYS: u32 = 50;
pub const TAGS: u32 = 8;
pub const GLOBAL_TAGS: u32 = 2;
const NESTED: u32 = 2;
const LONGEST: usize = 20 << 10;

const FIRST_TAG: u32 = TENANTS * SPACES * KEYS;
const FIRST_SPACE: u32 = FIRST_TAG + TENANTS * TAGS;
const FIRST_TENANT: u32 = FIRST_SPACE + TENANTS * SPACES;
const FIRST_GLOBAL: u32 = FIRST_TENANT + TENANTS;
/// How many things can be invalidated.
pub const SCOPES: usize = (FIRST_GLOBAL + GLOBAL_TAGS) as usize;

/// A key of a namespace of a tenant. Tenants differ in nothing else: keys, tags and namespaces have the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    pub tenant: u32,
    pub space: u32,
    pub key: u32,
}

impl Spot {
    /// Some keys are hot, so that operations meet.
    pub fn random(rng: &mut StdRng) -> Self {
        let keys = if rng.random_bool(0.3) { 4 } else { KEYS };
        Self {
            tenant: rng.random_range(0..TENANTS),
            space: rng.random_range(0..SPACES),
            key: rng.random_range(0..keys),
        }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        let spaces = (0..TENANTS).flat_map(|tenant| (0..SPACES).map(move |space| (tenant, space)));
        spaces.flat_map(|(tenant, space)| (0..KEYS).map(move |key| Self { tenant, space, key }))
    }

    pub fn tags(self) -> [u32; 2] {
        [self.key % TAGS, (self.key / TAGS + 3) % TAGS]
    }

    pub fn global_tag(self) -> u32 {
        self.key % GLOBAL_TAGS
    }

    pub fn key_scope(self) -> u32 {
        (self.tenant * SPACES + self.space) * KEYS + self.key
    }

    pub fn tag_scope(self, tag: u32) -> u32 {
        FIRST_TAG + self.tenant * TAGS + tag
    }

    pub fn space_scope(self) -> u32 {
        FIRST_SPACE + self.tenant * SPACES + self.space
    }

    pub fn tenant_scope(self) -> u32 {
        FIRST_TENANT + self.tenant
    }

    pub fn global_scope(self) -> u32 {
        FIRST_GLOBAL + self.global_tag()
    }

    /// Everything whose invalidation invalidates what is at this spot.
    pub fn scopes(self) -> Vec<u32> {
        let [one, other] = self.tags();
        let mut scopes = vec![
            self.key_scope(),
            self.tag_scope(one),
            self.tag_scope(other),
            self.space_scope(),
            self.tenant_scope(),
            self.global_scope(),
        ];
        if self.space == NESTED {
            scopes.push(Self { space: 0, ..self }.space_scope());
        }
        scopes
    }

    pub fn root(self, cache: &Cache) -> Namespace {
        cache.tenant(&TenantId::from(u64::from(self.tenant)))
    }

    pub fn door(self, cache: &Cache) -> Namespace {
        let root = self.root(cache);
        match self.space {
            0 => root.namespace("a"),
            1 => root.namespace("b"),
            _ => root.namespace("a").namespace("b"),
        }
    }
}

/// The database of the campaign: a version for everything that can be invalidated.
pub struct Source(Vec<AtomicU64>);

impl Source {
    /// Versions grow from process to process, whatever the one before got to tell.
    pub fn new(round: u64) -> Self {
        Self((0..SCOPES).map(|_| AtomicU64::new((round + 1) << 32)).collect())
    }

    pub fn version(&self, scope: u32) -> u64 {
        self.0[scope as usize].load(SeqCst)
    }

    pub fn change(&self, scope: u32) -> u64 {
        self.0[scope as usize].fetch_add(1, SeqCst) + 1
    }
}

/// A value that says whose it is and what it was loaded from, and bytes that follow from all of this.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    spot: Spot,
    id: u64,
    versions: Vec<u64>,
    payload: Vec<u8>,
}

/// What is wrong with a value that was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Torn,
    Foreign,
    /// The place of the scope in [`Spot::scopes`], and its version in the value and as invalidated.
    Stale {
        scope: usize,
        had: u64,
        gone: u64,
        id: u64,
    },
}

impl Item {
    pub fn new(spot: Spot, id: u64, versions: Vec<u64>) -> Self {
        let payload = payload(spot, id, &versions);
        Self { spot, id, versions, payload }
    }

    /// Judges a value found at a spot by the invalidations that had returned before the read began, in the order of
    /// [`Spot::scopes`].
    pub fn judge(&self, spot: Spot, returned: &[u64]) -> std::result::Result<(), Fault> {
        let whole = self.versions.len() == self.spot.scopes().len()
            && self.payload == payload(self.spot, self.id, &self.versions);
        if !whole {
            return Err(Fault::Torn);
        }
        if self.spot != spot {
            return Err(Fault::Foreign);
        }
        let stale = self.versions.iter().zip(returned).enumerate().find(|(_, (had, gone))| had < gone);
        match stale {
            Some((scope, (&had, &gone))) => Err(Fault::Stale { scope, had, gone, id: self.id }),
            None => Ok(()),
        }
    }
}

/// From nothing to 20 KB that no compression makes shorter.
fn payload(spot: Spot, id: u64, versions: &[u64]) -> Vec<u8> {
    let mut seed = id ^ u64::from(spot.key_scope()).rotate_left(40);
    for version in versions {
        seed = (seed.rotate_left(9) ^ version).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bytes = vec![0; rng.random_range(0..=LONGEST)];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// What every process of a campaign opens the directory with.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub seed: u64,
    /// Bytes of the disk tier; 0 is its default.
    pub capacity: u64,
    /// Opens the cache without the rule that marks are persisted, in builds that can.
    pub forgetful: bool,
    /// Writes behind.
    pub behind: bool,
}

impl Setup {
    /// Opens the cache. Memory holds a part of the values only, so that reads go to the disk.
    pub async fn open(self, dir: &Path) -> Result<Cache> {
        let disk = match self.capacity {
            0 => Disk::open(dir).await?,
            capacity => Disk::builder(dir).capacity(capacity).open().await?,
        };
        let write = if self.behind { WriteMode::Behind } else { WriteMode::Through };
        let builder = Cache::builder()
            .memory(1 << 20)
            .seed(self.seed)
            .default_policy(Policy::ttl(hours(1)).codec(Codec::Postcard).write(write))
            // a busy machine must not look like a hung disk, which would then be left alone
            .tier_deadline("disk", seconds(20))
            .tier(disk);
        self.rules(builder).build().await
    }

    #[cfg(feature = "mutants")]
    fn rules(self, builder: CacheBuilder) -> CacheBuilder {
        if self.forgetful { builder.without_rule(stratacache::Rule::PersistMarks) } else { builder }
    }

    #[cfg(not(feature = "mutants"))]
    fn rules(self, builder: CacheBuilder) -> CacheBuilder {
        assert!(!self.forgetful, "needs the feature mutants");
        builder
    }
}
