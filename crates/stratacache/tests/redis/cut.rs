//! A node whose connections are cut for 400 ms misses nothing.

use stratacache::{Consistency, Namespace, Target, Token, millis, seconds};
use stratacache_testkit::servers::RedisServer;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{LATEST, Loads, Node};

const ROUNDS: usize = 20;
const CUT: std::time::Duration = millis(400);
const BOUND: std::time::Duration = seconds(1);
const KEYS: [&str; 3] = ["latest", "since", "bounded"];

async fn invalidate(b: &Namespace, round: usize) -> Token {
    match round % 3 {
        0 => b.invalidate(KEYS.map(Target::key)).await,
        1 => b.invalidate_tag("all").await,
        _ => b.clear().await,
    }
    .unwrap()
}

/// Nothing is asserted about how long it takes.
async fn until_back(a: &Namespace) {
    while a.invalidate_tag("nothing has it").await.is_err() {
        sleep(millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_for_400_ms_serves_nothing_that_was_invalidated_meanwhile_0_of_20() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let [a, b] = [&here, &there].map(|node| node.tenant("acme").namespace("n"));
    let loads = Loads::default();
    // right after the cut, and when the node is back: of each kind
    let mut stale = [[0; 3]; 2];
    for round in 0..ROUNDS {
        let mut old = [0; 3];
        for (key, old) in KEYS.iter().zip(&mut old) {
            *old = loads.read(&a, key, LATEST).await;
            assert_eq!(a.get::<usize>(*key).await.as_deref(), Some(&*old), "round {round}: it is in memory");
        }
        here.proxy.refuse(true);
        here.proxy.cut().await;
        let token = invalidate(&b, round).await;
        let invalidated = Instant::now();
        sleep(CUT).await;
        here.proxy.refuse(false);
        let ways = [LATEST, Consistency::Since(token), Consistency::Bounded(BOUND)];
        for stale in &mut stale {
            for at in 0..3 {
                if at == 2 {
                    sleep_until(invalidated + BOUND).await; // before, the old value is within its bound
                }
                let read = loads.read(&a, KEYS[at], ways[at]).await;
                stale[at] += usize::from(read <= old[at]);
            }
            until_back(&a).await;
        }
    }
    assert_eq!(stale, [[0; 3]; 2], "of {ROUNDS} each: {KEYS:?}");
}
