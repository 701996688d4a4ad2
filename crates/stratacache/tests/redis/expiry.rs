//! The bytes of what was cleared come back.

use stratacache::{Policy, millis};
use stratacache_testkit::servers::RedisServer;

use crate::world::{Node, entries};

/// Keys that hold the order of invalidations, and no entry or lease: those have hashes of 32 digits.
async fn control(server: &RedisServer) -> usize {
    let all = server.command(&["KEYS", "strata:*"]).await.unwrap();
    let names = all.elements().iter().filter_map(|key| key.text());
    names.filter(|name| name.len() < "strata:{}:e".len() + 32).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_of_a_cleared_tenant_come_back_as_its_entries_expire() {
    const MANY: u32 = 500;
    let server = RedisServer::start().await.unwrap();
    let here = Node::with_policy(&server, Policy::ttl(millis(1_500))).await;
    let (a, b) = (here.tenant("acme"), here.tenant("globex"));
    b.insert(1_u32, 1_u32).ttl(stratacache::hours(1)).await.unwrap();
    a.insert_many((0..MANY).map(|n| (n, n))).await.unwrap();
    a.clear().await.unwrap();
    let size = async || server.command(&["DBSIZE"]).await.unwrap().integer().unwrap() as usize;
    assert!(size().await > 1 + control(&server).await, "clearing frees nothing by itself");
    // entries and leases go, without a read of any of them; only the neighbour's entry is left
    while size().await > 1 + control(&server).await {
        tokio::time::sleep(millis(50)).await;
    }
    assert_eq!(entries(&server).await, 1);
    assert_eq!(b.get::<u32>(1_u32).await.as_deref(), Some(&1));
}
