//! `kill -9` of the application between commit and invalidate, and of the node that follows the outbox: nothing is lost, no read is stale
//! later than delta after both are back, and nothing goes back in a tenant.
//!
//! The long form: `STRATA_KILLS=200 cargo nextest run -p outbox --test kills --no-capture`; `STRATA_SEED` is another run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use outbox::{Database, migration, read};
use stratacache::{
    Cache, Redis, TenantId,
    clock::{Clock as _, SystemClock},
    millis, seconds,
};
use stratacache_testkit::servers::{PostgresServer, RedisServer};

const COMPANIES: [&str; 4] = ["acme", "bolt", "core", "dune"];
const CONTACTS: u64 = 5;

/// Where a `Bounded` read, which is the default, may be behind.
const DELTA: Duration = seconds(1);

/// So many rounds, of a kill of each: 20 of them take part of a minute.
#[tokio::test(flavor = "multi_thread")]
async fn kills_of_either_side_and_of_both_lose_nothing() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    kills(number("STRATA_KILLS", 20) as u32, number("STRATA_SEED", 20_261_122)).await;
}

async fn kills(rounds: u32, seed: u64) {
    println!("seed {seed}");
    let mut stage = Stage::new(seed).await;
    let mut listener = stage.listener();
    let mut worst = [Duration::ZERO; 3];
    for _ in 0..rounds {
        let seen = stage.app_is_killed().await;
        worst[0] = worst[0].max(seen);
        let seen = stage.listener_is_killed(&mut listener).await;
        worst[1] = worst[1].max(seen);
        let seen = stage.both_are_killed(&mut listener).await;
        worst[2] = worst[2].max(seen);
    }
    println!("{rounds} kills of the application: stale for {:?} at most after it was killed", worst[0]);
    println!("{rounds} kills of the listener: stale for {:?} at most after it was back", worst[1]);
    println!("{rounds} kills of both: stale for {:?} at most after the listener was back", worst[2]);
    println!("{} reads, {} of them stale while something was down", stage.reads, stage.stale);
    assert_eq!(stage.database.count("strata.poison").await.unwrap(), 0);
}

struct Stage {
    postgres: PostgresServer,
    redis: RedisServer,
    database: Database,
    cache: Cache,
    clock: SystemClock,
    random: u64,
    /// The highest edition read of each contact.
    seen: HashMap<(usize, i64), i64>,
    reads: u64,
    stale: u64,
}

impl Stage {
    async fn new(seed: u64) -> Self {
        let (postgres, redis) = (PostgresServer::start().await.unwrap(), RedisServer::start().await.unwrap());
        let database = Database::connect(&postgres.url()).await.unwrap();
        database.run(&migration().unwrap()).await.unwrap();
        // a node of its own: what the listener invalidates it learns by Redis
        let cache = Cache::builder().tier(Redis::connect(&redis.url()).await.unwrap()).build().await.unwrap();
        let clock = SystemClock::new();
        Self { postgres, redis, database, cache, clock, random: seed, seen: HashMap::new(), reads: 0, stale: 0 }
    }

    fn listener(&self) -> Process {
        let mut listener = Process::start(&["listener", &self.postgres.url(), &self.redis.url()]);
        listener.hears("back");
        listener
    }

    /// Numbers that a seed repeats (splitmix64).
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// A contact that is in the cache, as it is now.
    async fn a_contact(&mut self) -> (usize, i64) {
        let contact = (self.random(COMPANIES.len() as u64) as usize, self.random(CONTACTS) as i64);
        self.read(contact).await;
        contact
    }

    /// Reads through the cache. What is read never goes back.
    async fn read(&mut self, contact: (usize, i64)) -> i64 {
        let company = self.cache.tenant(&TenantId::parse(COMPANIES[contact.0]).unwrap());
        let edition = *read(&company, &self.database, contact.1).await.unwrap();
        let seen = self.seen.entry(contact).or_default();
        assert!(edition >= *seen, "{contact:?} went back from {seen} to {edition}");
        *seen = edition;
        self.reads += 1;
        edition
    }

    /// Reads until it is the edition asked for, and returns when that was.
    async fn fresh(&mut self, contact: (usize, i64), edition: i64, until: Duration) -> Duration {
        loop {
            let asked = self.clock.now();
            if self.read(contact).await >= edition {
                return asked;
            }
            self.stale += 1;
            assert!(asked <= until, "{contact:?}: older than edition {edition} later than delta after both were back");
            tokio::time::sleep(millis(2)).await;
        }
    }

    /// The application commits, and is gone before it invalidates.
    async fn app_is_killed(&mut self) -> Duration {
        let contact = self.a_contact().await;
        let (url, id) = (self.postgres.url(), contact.1.to_string());
        let mut app = Process::start(&["app", &url, COMPANIES[contact.0], &id]);
        app.hears("ready");
        let edition: i64 = app.hears("committed").parse().unwrap();
        app.kill();
        let back = self.clock.now();
        self.fresh(contact, edition, back + DELTA).await.saturating_sub(back)
    }

    /// The listener is gone, then the application commits and is gone.
    async fn both_are_killed(&mut self, listener: &mut Process) -> Duration {
        let contact = self.a_contact().await;
        let (url, id) = (self.postgres.url(), contact.1.to_string());
        let mut app = Process::start(&["app", &url, COMPANIES[contact.0], &id]);
        app.hears("ready");
        listener.kill();
        let edition: i64 = app.hears("committed").parse().unwrap();
        app.kill();
        self.stale += u64::from(self.read(contact).await < edition);
        *listener = self.listener();
        let back = self.clock.now();
        self.fresh(contact, edition, back + DELTA).await.saturating_sub(back)
    }

    /// The listener is gone shortly before or after the commit, and comes back.
    async fn listener_is_killed(&mut self, listener: &mut Process) -> Duration {
        let contact = self.a_contact().await;
        let pauses = (millis(self.random(8)), millis(self.random(8)));
        let (database, company) = (self.database.clone(), COMPANIES[contact.0]);
        let commit = async {
            tokio::time::sleep(pauses.0).await;
            database.next_edition(company, contact.1).await.unwrap()
        };
        let kill = async {
            tokio::time::sleep(pauses.1).await;
            listener.kill();
        };
        let (edition, ()) = tokio::join!(commit, kill);
        // while it is away, reads may be stale, and still never go back
        for _ in 0..3 {
            let read = self.read(contact).await;
            self.stale += u64::from(read < edition);
        }
        *listener = self.listener();
        let back = self.clock.now();
        self.fresh(contact, edition, back + DELTA).await.saturating_sub(back)
    }
}

/// A process of the example. Dropped, it is killed.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
        let mut child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// Waits for a line that begins with a word, and returns the rest of it.
    fn hears(&mut self, word: &str) -> String {
        let line = self.said.next().expect("the process is there").unwrap();
        line.strip_prefix(word).unwrap_or_else(|| panic!("{line}")).trim().to_owned()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
