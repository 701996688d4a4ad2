//! An operator's sweep beside nodes at work: it frees what was invalidated, and nothing else.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use stratacache::{Cache, Namespace, Redis, RedisSweep, RedisSweepBuilder, RedisSweepCursor, Tag, TenantId, millis};
use stratacache_testkit::{
    proxy::{Command, FaultProxy},
    servers::{RedisCluster, RedisServer},
};

use crate::world::{LATEST, Loads, Node, entries, until_stored};

fn sweep(server: &RedisServer) -> RedisSweepBuilder {
    RedisSweep::builder(server.url()).pause(Duration::ZERO).deadline(Duration::from_secs(10))
}

fn id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

async fn read_all(loads: &Loads, ns: &Namespace, prefix: &str, count: usize) {
    for n in 0..count {
        loads.read(ns, &format!("{prefix}-{n}"), LATEST).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_tenant_was_cleared_a_sweep_frees_exactly_its_old_entries() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let (a, b) = (here.tenant("acme"), here.tenant("globex"));
    let loads = Loads::default();
    read_all(&loads, &a, "old", 60).await;
    read_all(&loads, &b, "old", 60).await;
    until_stored(&server, 120).await;
    a.clear().await.unwrap();
    read_all(&loads, &a, "new", 10).await;
    until_stored(&server, 130).await;

    let foreign = sweep(&server).tenant(&id("acme")).deployment_secret([9; 16]).build().await.unwrap();
    assert_eq!(foreign.run().await.unwrap().judged, 0, "another deployment's tenant of that name");
    let neighbour = sweep(&server).tenant(&id("globex")).build().await.unwrap().run().await.unwrap();
    assert_eq!((neighbour.judged, neighbour.invalid), (60, 0), "{neighbour}");
    let dry = sweep(&server).dry_run(true).build().await.unwrap().run().await.unwrap();
    assert_eq!((dry.judged, dry.invalid, dry.unlinked), (130, 60, 0), "{dry}");
    assert_eq!(entries(&server).await, 130, "a dry run removes nothing");

    let report = sweep(&server).tenant(&id("acme")).build().await.unwrap().run().await.unwrap();
    assert_eq!((report.scanned, report.judged, report.invalid, report.unlinked), (130, 70, 60, 60), "{report}");
    assert_eq!((report.skipped, report.replaced), (0, 0), "{report}");
    assert!(report.is_finished() && report.bytes == dry.bytes && report.bytes > 60 * 128, "{report}");
    assert_eq!(entries(&server).await, 70);

    // a node with an empty memory finds below it all that was left
    let later = Node::start(&server).await;
    let before = loads.count();
    read_all(&loads, &later.tenant("globex"), "old", 60).await;
    read_all(&loads, &later.tenant("acme"), "new", 10).await;
    assert_eq!(loads.count(), before);
    read_all(&loads, &later.tenant("acme"), "old", 60).await;
    assert_eq!(loads.count(), before + 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_frees_what_had_an_invalidated_tag_or_global_tag_and_leaves_a_namespaces_to_expire() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    for n in 0..20_u32 {
        a.insert(format!("red-{n}"), n).tag("red").await.unwrap();
        a.insert(format!("blue-{n}"), n).tag("blue").await.unwrap();
        a.insert(format!("priced-{n}"), n).tag(Tag::global("prices")).await.unwrap();
        a.namespace("drafts").insert(n, n).await.unwrap();
        a.namespace("letters").insert(n, n).await.unwrap();
        // more tags than are read at first
        a.insert(format!("many-{n}"), n).tags((0..30).map(|tag| format!("tag-{tag}"))).await.unwrap();
    }
    let sweep = sweep(&server).build().await.unwrap();
    let run = async || {
        let report = sweep.run().await.unwrap();
        assert_eq!((report.unlinked, report.skipped, report.replaced), (report.invalid, 0, 0), "{report}");
        report.unlinked
    };
    assert_eq!(run().await, 0);
    a.invalidate("blue-0").await.unwrap();
    assert_eq!((run().await, entries(&server).await), (0, 119), "a key goes with its invalidation");
    a.invalidate_tag("red").await.unwrap();
    assert_eq!(run().await, 20);
    here.cache.invalidate_global_tag("prices").await.unwrap();
    assert_eq!(run().await, 20);
    a.invalidate_tag("tag-29").await.unwrap();
    assert_eq!(run().await, 20);
    a.namespace("drafts").clear().await.unwrap();
    assert_eq!((run().await, entries(&server).await), (0, 59), "an entry does not say of which namespace it is");
    assert!(a.namespace("drafts").get::<u32>(1_u32).await.is_none(), "and is not served");
    assert!(a.namespace("letters").get::<u32>(1_u32).await.is_some());
    a.expire_tag("blue").await.unwrap();
    assert_eq!(run().await, 0, "what was made to expire may still be served stale");
    a.clear().await.unwrap();
    assert_eq!((run().await, entries(&server).await), (59, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_replaced_between_judging_and_removing_stays() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let (a, b) = (here.tenant("acme"), there.tenant("acme"));
    for n in 0..6_u32 {
        a.insert(n, n).await.unwrap();
    }
    a.clear().await.unwrap();
    let proxy = FaultProxy::start(server.addr(), 7).await.unwrap();
    let builder = RedisSweep::builder(proxy.url()).deadline(Duration::from_secs(20));
    let sweep = builder.build().await.unwrap();
    let read = async || {
        let stats = server.command(&["INFO", "commandstats"]).await.unwrap().text().unwrap_or_default();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_getrange:calls="));
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let before = read().await;
    // the sweep hears what it read only when half of it is something else
    proxy.delay_replies(Command::named("GETRANGE"), millis(3_000)..=millis(3_000));
    let swept = async { sweep.run().await.unwrap() };
    let replaced = async {
        while read().await < before + 6 {
            tokio::time::sleep(millis(1)).await;
        }
        for n in 0..3_u32 {
            a.insert(n, n + 100).await.unwrap();
        }
    };
    let (report, ()) = tokio::join!(swept, replaced);
    assert_eq!((report.invalid, report.replaced, report.unlinked), (6, 3, 3), "{report}");
    assert_eq!(entries(&server).await, 3);
    for n in 0..3_u32 {
        assert_eq!(b.get::<u32>(n).consistency(LATEST).await.as_deref(), Some(&(n + 100)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_stops_where_it_was_told_to_and_goes_on_from_there() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    a.insert_many((0..1_000_u32).map(|n| (n, n))).await.unwrap();
    a.clear().await.unwrap();
    let sweep = sweep(&server).batch(20).most(200).build().await.unwrap();
    let mut report = sweep.run().await.unwrap();
    let (mut runs, mut unlinked) = (1, report.unlinked);
    while let Some(cursor) = report.cursor.take() {
        assert!((1..=300).contains(&report.scanned), "{report}");
        // as text it outlives the program
        let cursor: RedisSweepCursor = cursor.to_string().parse().unwrap();
        report = sweep.resume(cursor).await.unwrap();
        (runs, unlinked) = (runs + 1, unlinked + report.unlinked);
    }
    assert!(runs >= 4, "{runs}");
    assert_eq!((unlinked, entries(&server).await), (1_000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_histories_that_have_ended_are_freed_and_those_of_the_present_ones_stay() {
    let server = RedisServer::start().await.unwrap();
    let here = Node::start(&server).await;
    let a = here.tenant("acme");
    a.insert_many((0..50_u32).map(|n| (n, n))).await.unwrap();
    // the lanes are lost, and begin anew with the next node
    let lanes = server.command(&["KEYS", "strata:{c*}:[hms]*"]).await.unwrap();
    for key in lanes.elements() {
        server.command(&["DEL", &key.text().unwrap()]).await.unwrap();
    }
    let later = Node::start(&server).await;
    let loads = Loads::default();
    read_all(&loads, &later.tenant("globex"), "new", 20).await;
    until_stored(&server, 70).await;
    let sweep = sweep(&server).build().await.unwrap();
    let report = sweep.run().await.unwrap();
    assert_eq!((report.judged, report.unlinked), (70, 50), "{report}");
    let latest = Node::start(&server).await;
    read_all(&loads, &latest.tenant("globex"), "new", 20).await;
    assert_eq!(loads.count(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_walks_every_master_of_a_cluster() {
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.addr().to_string()).collect();
    let url = format!("redis-cluster://{}", hosts.join(","));
    let start = async || {
        let redis = Redis::builder(&url).deadline(Duration::from_secs(5)).build().await.unwrap();
        Cache::builder().seed(7).tier(redis).build().await.unwrap()
    };
    let cache = start().await;
    let (a, b) = (cache.tenant(&id("acme")), cache.tenant(&id("globex")));
    a.insert_many((0..300_u32).map(|n| (n, n))).await.unwrap();
    let loads = Loads::default();
    read_all(&loads, &b, "kept", 30).await;
    let all = async || {
        let mut all = 0;
        for node in cluster.nodes() {
            all += entries(node).await;
        }
        all
    };
    while all().await < 330 {
        tokio::time::sleep(millis(1)).await;
    }
    a.clear().await.unwrap();
    let builder = RedisSweep::builder(&url).deadline(Duration::from_secs(5)).pause(Duration::ZERO);
    let sweep = builder.batch(20).most(60).build().await.unwrap();
    let mut report = sweep.run().await.unwrap();
    let (mut runs, mut unlinked) = (1, report.unlinked);
    while let Some(cursor) = report.cursor.take() {
        report = sweep.resume(cursor).await.unwrap();
        (runs, unlinked) = (runs + 1, unlinked + report.unlinked);
    }
    assert!(runs >= 4, "{runs}");
    assert_eq!((unlinked, all().await), (300, 30));
    let later = start().await;
    read_all(&loads, &later.tenant(&id("globex")), "kept", 30).await;
    assert_eq!(loads.count(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_during_loads_and_invalidations_on_two_nodes_makes_no_wrong_answer() {
    let server = RedisServer::start().await.unwrap();
    let (here, there) = (Node::start(&server).await, Node::start(&server).await);
    let kept = Loads::default();
    read_all(&kept, &here.tenant("globex"), "kept", 50).await;
    until_stored(&server, 50).await;
    let (source, returned, done) =
        (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = tokio::task::JoinSet::new();
    for reader in 0..6 {
        let ns = [&here, &there][reader % 2].tenant("acme");
        let (source, returned, done) = (Arc::clone(&source), Arc::clone(&returned), Arc::clone(&done));
        tasks.spawn(async move {
            let mut n = reader;
            while !done.load(SeqCst) {
                n += 1;
                let least = returned.load(SeqCst);
                let source = Arc::clone(&source);
                let load = async move || Ok::<_, Infallible>(source.load(SeqCst));
                let key = format!("k{}", n % 40);
                let read = ns.get_or_load(key, load).tag("all").consistency(LATEST).await.unwrap();
                assert!(*read >= least, "{} was read when {least} was the newest", *read);
            }
        });
    }
    let mut sweeping = tokio::task::JoinSet::new();
    {
        let (sweep, done) = (sweep(&server).batch(10).build().await.unwrap(), Arc::clone(&done));
        sweeping.spawn(async move {
            let mut unlinked = 0;
            while !done.load(SeqCst) {
                unlinked += sweep.run().await.unwrap().unlinked;
            }
            unlinked
        });
    }
    for round in 0..150 {
        let ns = [&here, &there][round % 2].tenant("acme");
        let version = source.fetch_add(1, SeqCst) + 1;
        match round % 3 {
            0 => ns.clear().await.unwrap(),
            1 => ns.invalidate_tag("all").await.unwrap(),
            _ => {
                for n in 0..40 {
                    ns.invalidate(format!("k{n}")).await.unwrap();
                }
                ns.invalidate("k").await.unwrap()
            }
        };
        returned.store(version, SeqCst);
        tokio::time::sleep(millis(5)).await; // lets readers fill
    }
    done.store(true, SeqCst);
    let unlinked = sweeping.join_all().await.iter().sum::<u64>();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(unlinked > 0, "the sweep met nothing: this was no test");
    let later = Node::start(&server).await;
    read_all(&kept, &later.tenant("globex"), "kept", 50).await;
    assert_eq!(kept.count(), 50, "the neighbour lost nothing");
}
