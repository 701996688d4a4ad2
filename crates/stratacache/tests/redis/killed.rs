//! The process that leads a load dies, or stands still: the next one takes over when its lease ends.
//!
//! The process is this test program itself, started again with `STRATA_LEADER` set to the URL of the server.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitIdOptions, kill_process, waitid};
use stratacache::{Cache, Policy, Redis, TenantId, millis, minutes};
use stratacache_testkit::servers::RedisServer;

use crate::world::{LATEST, Loads, Node, until_stored};

const LEADER: &str = "STRATA_LEADER";
/// What the leader says when its loader runs.
const LOADS: &str = "loads";
/// What the leader's loader returns, the first time.
const LATE: usize = 1_000;

fn policy() -> Policy {
    Policy::ttl(minutes(5)).lease(millis(700))
}

/// The leader. It is no test of its own: without the variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_leads() {
    let Ok(url) = std::env::var(LEADER) else { return };
    let redis = Redis::builder(url).deadline(Duration::from_secs(5)).build().await.unwrap();
    let cache = Cache::builder().seed(8).default_policy(policy()).tier(redis).build().await.unwrap();
    let ns = cache.tenant(&TenantId::parse("acme").unwrap());
    let load = async || {
        say(LOADS);
        // until it is told to go on, or whoever tells it is gone
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()).unwrap()).await.unwrap();
        Ok::<_, Infallible>(LATE)
    };
    let first: usize = *ns.get_or_load("k", load).tag("all").consistency(LATEST).await.unwrap();
    let again = async || Ok::<_, Infallible>(LATE + 1);
    let second: usize = *ns.get_or_load("k", again).tag("all").consistency(LATEST).await.unwrap();
    // everything that is under way is done afterwards
    cache.close().await.unwrap();
    say(&format!("{first} {second}"));
}

/// Says a line of its own, whatever the test program wrote before.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}

/// The process of the leader, killed at the latest when this is dropped.
struct Leader {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Leader {
    /// Returns when its loader runs.
    fn start(server: &RedisServer) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::the_process_that_leads", "--exact", "--nocapture", "--test-threads=1"])
            .env(LEADER, server.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut leader = Self { child, said };
        leader.until(|line| line == LOADS);
        leader
    }

    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        self.said.by_ref().map_while(Result::ok).find(|line| wanted(line)).expect("the leader ended before")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Has it stand still, and returns when it does.
    fn stop(&self) {
        self.signal(Signal::STOP);
        waitid(rustix::process::WaitId::Pid(Pid::from_child(&self.child)), WaitIdOptions::STOPPED).unwrap().unwrap();
    }

    /// Has it go on and end, and returns what its two reads brought.
    fn resume(mut self) -> [usize; 2] {
        self.signal(Signal::CONT);
        self.child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        let is_answer =
            |line: &str| line.split(' ').count() == 2 && line.split(' ').all(|n| n.parse::<usize>().is_ok());
        let answer = self.until(is_answer);
        assert!(self.child.wait().unwrap().success());
        let mut numbers = answer.split(' ').map(|n| n.parse().unwrap());
        std::array::from_fn(|_| numbers.next().unwrap())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn leases(server: &RedisServer) -> usize {
    server.command(&["KEYS", "*:l"]).await.unwrap().elements().len()
}

/// The only entry, byte for byte.
async fn stored(server: &RedisServer) -> Vec<u8> {
    let keys = server.command(&["KEYS", "*:e"]).await.unwrap();
    let [key] = keys.elements() else { panic!("{keys:?}") };
    server.command(&["GET", &key.text().unwrap()]).await.unwrap().bytes().unwrap().to_vec()
}

async fn reads_of_a_later_node(server: &RedisServer, loads: &Loads) -> usize {
    let later = Node::with_policy(server, policy()).await;
    loads.read(&later.tenant("acme"), "k", LATEST).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_leads_is_killed_with_9_and_the_next_takes_over_when_its_lease_ends() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::with_policy(&server, policy()).await;
    let a = here.tenant("acme");
    let loads = Loads::default();
    let mut leader = Leader::start(&server);
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (a, loads) = (a.clone(), loads.clone());
        waiters.spawn(async move { loads.read(&a, "k", LATEST).await });
    }
    while here.cache.stats().lease_waits == 0 {
        tokio::time::sleep(millis(1)).await;
    }
    assert_eq!((loads.count(), leases(&server).await), (0, 1), "the leader's lease is alive");
    leader.signal(Signal::KILL);
    leader.child.wait().unwrap();
    while let Some(read) = waiters.join_next().await {
        assert_eq!(read.unwrap(), 1);
    }
    assert_eq!(loads.count(), 1, "one of those who waited has loaded");
    until_stored(&server, 1).await;
    assert_eq!((reads_of_a_later_node(&server, &loads).await, loads.count()), (1, 1), "and it was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_that_stood_still_brings_after_its_lease_has_ended_is_refused() {
    for invalidated in [false, true] {
        let server = RedisServer::start().await.unwrap();
        let here = Node::with_policy(&server, policy()).await;
        let a = here.tenant("acme");
        let loads = Loads::default();
        let leader = Leader::start(&server);
        leader.stop();
        assert_eq!(loads.read(&a, "k", LATEST).await, 1, "the next takes over");
        until_stored(&server, 1).await;
        let mut newest = 1;
        if invalidated {
            a.invalidate("k").await.unwrap();
            newest = loads.read(&a, "k", LATEST).await;
            until_stored(&server, 1).await;
        }
        let before = stored(&server).await;
        let [first, second] = leader.resume();
        assert_eq!(stored(&server).await, before, "the late fill was refused");
        assert!([LATE, newest].contains(&first), "{first}");
        if invalidated {
            assert_eq!(second, newest, "its memory does not serve what was invalidated");
        } else {
            assert!([LATE, newest].contains(&second), "{second}");
        }
        assert_eq!(reads_of_a_later_node(&server, &loads).await, newest);
        assert_eq!(loads.count(), newest);
    }
}
