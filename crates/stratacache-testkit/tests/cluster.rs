//! Real clusters form, fail over and move slots.
#![cfg(unix)]

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use stratacache_testkit::servers::{Failover, Program, RedisCluster, RedisServer, Reply, ServerError};

type Outcome = Result<(), Box<dyn Error>>;

fn refusal(result: Result<Reply, ServerError>) -> String {
    match result {
        Err(ServerError::Refused { message, .. }) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn replicas_have(master: &RedisServer) -> Result<(), ServerError> {
    master.command(&["WAIT", "1", "10000"]).await.map(drop)
}

#[tokio::test]
async fn a_cluster_fails_over_in_each_way_and_takes_the_old_master_back_as_a_replica() -> Outcome {
    let cluster = RedisCluster::start(3, 3).await?;
    assert_eq!((cluster.urls().len(), cluster.nodes().len()), (6, 6));
    assert_eq!(cluster.masters().await?, [0, 1, 2]);
    let slot = cluster.slot_of("price").await?;
    let owner = cluster.owner_of(slot).await?;
    let (heir, others) = (owner + 3, [0, 1, 2].map(|i| (owner + i) % 3));
    cluster.node(owner).command(&["SET", "price", "7"]).await?;
    replicas_have(cluster.node(owner)).await?;
    for other in &others[1..] {
        assert!(refusal(cluster.node(*other).command(&["GET", "price"]).await).starts_with("MOVED"));
    }

    cluster.failover(heir, Failover::Graceful).await?;
    assert_eq!(cluster.owner_of(slot).await?, heir);
    assert_eq!(cluster.node(heir).command(&["GET", "price"]).await?.text().as_deref(), Some("7"));
    assert!(refusal(cluster.node(owner).command(&["SET", "price", "8"]).await).starts_with("MOVED"));
    cluster.failover(owner, Failover::Graceful).await?;
    assert_eq!(cluster.owner_of(slot).await?, owner);

    replicas_have(cluster.node(owner)).await?;
    cluster.node(owner).kill().await?;
    cluster.failover(heir, Failover::Force).await?;
    cluster.until_well().await?;
    assert_eq!(cluster.owner_of(slot).await?, heir);
    assert_eq!(cluster.node(heir).command(&["GET", "price"]).await?.text().as_deref(), Some("7"));
    cluster.node(owner).restart().await?;
    cluster.until_well().await?;
    assert_eq!(cluster.owner_of(slot).await?, heir);
    cluster.node(owner).until_synced(cluster.node(heir)).await?;

    cluster.node(heir).pause().await?;
    cluster.failover(owner, Failover::Takeover).await?;
    cluster.node(heir).resume().await?;
    cluster.until_well().await?;
    assert_eq!(cluster.owner_of(slot).await?, owner);
    assert!(refusal(cluster.node(owner).command(&["CLUSTER", "FAILOVER"]).await).contains("replica"));
    Ok(())
}

#[tokio::test]
async fn a_dead_master_is_replaced_without_being_told() -> Outcome {
    let cluster = RedisCluster::start(3, 3).await?;
    cluster.node(1).kill().await?;
    while cluster.masters().await? != [0, 2, 4] {
        tokio::task::yield_now().await;
    }
    cluster.until_well().await?;
    Ok(())
}

#[tokio::test]
async fn over_tls_a_cluster_forms_fails_over_and_moves_slots_and_speaks_nothing_else_to_clients() -> Outcome {
    for program in [Program::Redis, Program::Valkey] {
        let cluster = RedisCluster::builder(3, 3).program(program).tls().start().await?;
        assert!(cluster.urls().iter().all(|url| url.starts_with("rediss://")));
        let authorities: Vec<_> = cluster.nodes().iter().map(RedisServer::ca_path).collect();
        assert!(authorities[0].is_some() && authorities.iter().all(|ca| *ca == authorities[0]));
        let slot = cluster.slot_of("price").await?;
        let from = cluster.owner_of(slot).await?;
        cluster.node(from).command(&["SET", "price", "7"]).await?;
        cluster.migrate_slot(slot, from, (from + 1) % 3).await?;
        let owner = cluster.owner_of(slot).await?;
        assert_eq!(owner, (from + 1) % 3);
        replicas_have(cluster.node(owner)).await?;
        cluster.failover(owner + 3, Failover::Graceful).await?;
        assert_eq!(cluster.owner_of(slot).await?, owner + 3);
        assert_eq!(cluster.node(owner + 3).command(&["GET", "price"]).await?.text().as_deref(), Some("7"));
        cluster.node(owner + 3).kill().await?;
        cluster.failover(owner, Failover::Force).await?;
        cluster.node(owner + 3).restart().await?;
        cluster.until_well().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slot_moves_under_load_without_losing_a_key() -> Outcome {
    let cluster = RedisCluster::builder(2, 0).password("secret").start().await?;
    let slot = cluster.slot_of("{t}").await?;
    let from = cluster.owner_of(slot).await?;
    let to = 1 - from;
    for i in 0..500 {
        cluster.node(from).command(&["SET", &format!("{{t}}:{i}"), "v"]).await?;
    }
    let (done, written) = (AtomicBool::new(false), AtomicU32::new(500));
    let load = async {
        while !done.load(Ordering::SeqCst) {
            let key = format!("{{t}}:{}", written.load(Ordering::SeqCst));
            // a write that is sent elsewhere is not done; what matters is that none that was done is lost
            let command = ["SET", &key, "v"];
            if cluster.node(from).command(&command).await.is_ok() || cluster.node(to).command(&command).await.is_ok() {
                written.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    };
    let migrate = async {
        let migration = cluster.begin_migration(slot, from, to).await?;
        assert_eq!(migration.move_keys(7).await?, 7);
        let asked = cluster.node(from).command(&["GET", "{t}:nowhere"]).await;
        assert!(refusal(asked).starts_with("ASK"));
        migration.finish().await?;
        done.store(true, Ordering::SeqCst);
        Ok::<_, ServerError>(())
    };
    tokio::try_join!(load, migrate)?;
    assert_eq!(cluster.owner_of(slot).await?, to);
    for i in 0..written.load(Ordering::SeqCst) {
        let value = cluster.node(to).command(&["GET", &format!("{{t}}:{i}")]).await?;
        assert_eq!(value.text().as_deref(), Some("v"), "{i}");
    }
    cluster.migrate_slot(slot, to, from).await?;
    assert_eq!(cluster.owner_of(slot).await?, from);
    assert!(cluster.begin_migration(slot, to, from).await.is_err(), "it is not there any more");
    Ok(())
}

#[tokio::test]
async fn valkey_forms_a_cluster_too() -> Outcome {
    let cluster = RedisCluster::builder(3, 0).program(Program::Valkey).start().await?;
    assert_eq!(cluster.masters().await?, [0, 1, 2]);
    Ok(())
}
