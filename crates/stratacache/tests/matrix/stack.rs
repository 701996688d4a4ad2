//! The tiers of one case, and the caches that are opened over them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use stratacache::{
    Cache, Disk, MemoryKeys, Object, Redis,
    clock::Clock as _,
    seconds,
    tier::{AnyTier, TierParts},
};
use stratacache_testkit::{
    clock::ManualClock,
    faulty::{Faults, FaultyTier},
    servers::RedisServer,
};
use tempfile::TempDir;

use crate::{
    axes::{Case, Encryption, Level},
    rows::Keyspaces,
};

/// A slow machine is no broken tier.
const PATIENCE: Duration = seconds(30);

/// A cache that is open, and the way to make its tiers fail, one handle for each.
pub(crate) struct Opened {
    pub(crate) cache: Cache,
    pub(crate) faults: Vec<Faults>,
}

/// What a case runs on. It outlives the caches.
pub(crate) struct Stack {
    pub(crate) case: Case,
    pub(crate) keyspaces: Keyspaces,
    pub(crate) redis: Arc<Server>,
    keys: MemoryKeys,
    clock: ManualClock,
    /// Milliseconds that the script has let pass.
    passed: AtomicU64,
    folder: TempDir,
    prefix: String,
    /// A rule of coherence that the caches do without, to see the script notice.
    #[cfg(feature = "mutants")]
    pub(crate) without: Option<stratacache::Rule>,
}

/// The Redis that all cases of a process share, where they need one.
pub(crate) struct Server(pub(crate) Option<RedisServer>);

impl Server {
    pub(crate) fn get(&self) -> &RedisServer {
        self.0.as_ref().expect("this stack has a Redis")
    }
}

impl Stack {
    /// Prepares the case of this number, which is no other's on the server.
    pub(crate) fn new(case: Case, number: usize, redis: Arc<Server>) -> Self {
        let clock = ManualClock::new();
        if case.is_shared() {
            // the time of the cache is that of Redis; the object tier goes by the clock
            clock.set_wall(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap());
        }
        let keyspaces = Keyspaces::of(&case);
        let prefix = format!("case-{number}");
        Self {
            case,
            keyspaces,
            redis,
            keys: MemoryKeys::new(),
            clock,
            passed: AtomicU64::new(0),
            folder: folder(),
            prefix,
            #[cfg(feature = "mutants")]
            without: None,
        }
    }

    /// Opens a cache over all tiers.
    pub(crate) async fn open(&self) -> Opened {
        // Redis does not know of the time that the script has let pass: a cache over it begins without, and is told then
        let passed = if self.case.is_shared() { self.passed.load(SeqCst) } else { 0 };
        self.clock.jump_wall(-(passed as i64));
        let opened = self.over(self.case.order.below, "disk").await;
        self.clock.advance(Duration::from_millis(passed));
        opened
    }

    /// Opens a cache on another node: it has all tiers but the disk of this one. Before the script lets time pass.
    pub(crate) async fn open_elsewhere(&self) -> Opened {
        assert_eq!(self.passed.load(SeqCst), 0, "its time would be another");
        let shared: Vec<Level> = self.case.order.below.iter().copied().filter(|l| *l != Level::Disk).collect();
        self.over(&shared, "no disk").await
    }

    async fn over(&self, levels: &[Level], disk: &str) -> Opened {
        let mut builder = Cache::builder()
            .memory(8 << 20)
            .clock(self.clock.clone())
            .seed(7)
            .flush_deadline(PATIENCE)
            .keyspace(self.keyspaces.usual);
        #[cfg(feature = "mutants")]
        if let Some(rule) = self.without {
            builder = builder.without_rule(rule);
        }
        if self.case.encryption == Encryption::On {
            builder = builder.encryption(self.keys.clone());
        }
        let mut handles = Vec::new();
        for level in levels {
            let mut parts = self.parts(*level, disk).await;
            let (tier, faults) = FaultyTier::new(parts.tier, 7);
            parts.tier = AnyTier::new(tier);
            builder = builder.tier(parts);
            if *level == Level::Disk {
                builder = builder.tier_deadline("disk", PATIENCE);
            }
            handles.push(faults);
        }
        // of two keyspaces, since a policy may name a tier that a node elsewhere lacks
        Opened { cache: builder.build().await.unwrap(), faults: handles }
    }

    async fn parts(&self, level: Level, disk: &str) -> TierParts {
        match level {
            Level::Disk => Disk::builder(self.folder.path().join(disk)).capacity(1 << 20).open().await.unwrap().into(),
            Level::Object => {
                let object = Object::directory(self.objects()).clock(self.clock.clone()).deadline(PATIENCE);
                object.open().await.unwrap().into()
            }
            Level::Redis => {
                let redis = Redis::builder(self.redis.get().url()).prefix(&self.prefix).deadline(PATIENCE);
                redis.build().await.unwrap().into()
            }
        }
    }

    fn objects(&self) -> std::path::PathBuf {
        self.folder.path().join("objects")
    }

    /// Lets time pass, and nothing else: a cache may be behind after it, see [`Source::catch_up`](crate::source::Source).
    pub(crate) fn pass(&self, time: Duration) {
        self.passed.fetch_add(time.as_millis() as u64, SeqCst);
        self.clock.advance(time);
    }

    /// Counts what a tier holds, whosever it is, where that can be told without the tier.
    pub(crate) async fn count(&self, level: Level) -> Option<usize> {
        match level {
            Level::Disk => None,
            Level::Object => {
                let all = std::fs::read_dir(self.objects()).unwrap().map(|each| each.unwrap().path());
                let objects = all.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
                // of those that have ended their life the tier itself says nothing
                Some(objects.filter(|object| self.clock.wall() < life_of(object)).count())
            }
            Level::Redis => {
                let pattern = format!("{}:*:e", self.prefix);
                Some(self.redis.get().command(&["KEYS", &pattern]).await.unwrap().elements().len())
            }
        }
    }
}

/// Returns when an object ends, as its frame says.
fn life_of(object: &[u8]) -> Duration {
    Duration::from_millis(u64::from_le_bytes(object[8..16].try_into().unwrap()))
}

/// In memory where there is room for that: how long a busy device takes is not what is tested.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let make = tempfile::Builder::new().prefix("strata-matrix-").tempdir_in(memory);
    make.unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
