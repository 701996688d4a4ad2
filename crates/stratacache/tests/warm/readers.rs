//! Readers beside a warm-up: they go first, and keep what they use. Counted, not timed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use stratacache::{Keyspace, Namespace, WarmPriority, millis, seconds};
use tokio::time::{Instant, sleep};

use crate::{
    kit::{ROWS, Source, TTL},
    support::{builder, cache, settle, tenant},
};

#[tokio::test(start_paused = true)]
async fn no_second_has_more_loads_than_the_rate() {
    for (rate, batch) in [(5, 1), (50, 1), (50, 7), (50, 200), (300, 1)] {
        let cache = cache().await;
        let acme = tenant(&cache, "acme");
        let began = Arc::new(Mutex::new(Vec::new()));
        let load = {
            let began = Arc::clone(&began);
            async move |keys: Vec<u32>| {
                began.lock().unwrap().extend(keys.iter().map(|_| Instant::now()));
                sleep(millis(330)).await;
                Ok::<_, &str>(keys.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
            }
        };
        let keys = 4 * rate;
        let start = Instant::now();
        let warm = acme.warm(&ROWS, 0..keys).load_many(load).batch(batch).rate(rate).concurrency(200);
        assert_eq!(warm.priority(WarmPriority::High).await.unwrap().progress.loaded, u64::from(keys));
        let mut window = VecDeque::new();
        for at in began.lock().unwrap().iter() {
            window.push_back(*at);
            while window.front().is_some_and(|first| *at - *first >= seconds(1)) {
                window.pop_front();
            }
            assert!(window.len() <= rate as usize, "{} loads within a second at {rate} by {batch}", window.len());
        }
        assert!(start.elapsed() >= seconds(3), "{rate} by {batch}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn others_have_their_turn_every_few_keys_of_a_batch() {
    const KEYS: u32 = 400;
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let (turns, at_load) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (counts, reader) = (Arc::clone(&turns), acme.clone());
    let other = tokio::spawn(async move {
        let (mut before, mut most) = (0, 0);
        while before < u64::from(KEYS) {
            counts.fetch_add(1, Relaxed);
            let now = reader.stats().entries.unwrap();
            (before, most) = (now, most.max(now - before));
            tokio::task::yield_now().await;
        }
        most
    });
    let (counts, noted) = (Arc::clone(&turns), Arc::clone(&at_load));
    let load = async move |keys: Vec<u32>| {
        noted.store(counts.load(Relaxed), Relaxed);
        Ok::<_, &str>(keys.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
    };
    let report = acme.warm(&ROWS, 0..KEYS).load_many(load).batch(KEYS as usize).await.unwrap();
    assert_eq!(report.progress.loaded, u64::from(KEYS));
    // looked for as they are taken, looked for once more, begun
    let before = at_load.load(Relaxed);
    assert!(before >= KEYS / 2 * 3, "{before} turns before the load of {KEYS} keys");
    let most = other.await.unwrap();
    assert!(most <= 4, "{most} keys stored between two turns");
}

#[tokio::test(start_paused = true)]
async fn keys_that_memory_has_do_not_count_for_the_rate() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    acme.insert_many((0..1_000).map(|key| (ROWS.key(&key), 1))).await.unwrap();
    let start = Instant::now();
    let row = Source::default();
    let warm = acme.warm(&ROWS, 0..1_002).load(async move |key| row.row(key, millis(1)).await).rate(1);
    assert_eq!(warm.await.unwrap().progress.loaded, 2);
    assert!(start.elapsed() < seconds(3), "{:?}", start.elapsed());
}

/// Reads cold keys, each in a task of its own, and returns how long after its call each load began, at most.
async fn read_cold(ns: &Namespace, keys: std::ops::Range<u32>) -> std::time::Duration {
    let reads = keys.map(|key| {
        let ns = ns.clone();
        tokio::spawn(async move {
            let (asked, began) = (Instant::now(), Arc::new(Mutex::new(None)));
            let noted = Arc::clone(&began);
            let load = async move || {
                *noted.lock().unwrap() = Some(Instant::now());
                sleep(millis(10)).await;
                Ok::<_, &str>(1)
            };
            ns.get_or_load(ROWS.key(&key), load).await.unwrap();
            let began = began.lock().unwrap().unwrap();
            began - asked
        })
    });
    let mut longest = seconds(0);
    for read in reads.collect::<Vec<_>>() {
        longest = longest.max(read.await.unwrap());
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn readers_never_wait_for_a_place_that_a_warm_up_has() {
    for (priority, left) in [(WarmPriority::Low, 12), (WarmPriority::Normal, 8), (WarmPriority::High, 1)] {
        for many in [false, true] {
            let cache = builder().max_loads(16).build().await.unwrap();
            let acme = tenant(&cache, "acme");
            let source = Source::default();
            let (row, rows) = (source.clone(), source.clone());
            let warm = acme.warm(&ROWS, 0..100_000).concurrency(1_000).batch(10).priority(priority);
            let handle = match many {
                true => warm.load_many(async move |keys| rows.rows(keys, seconds(1)).await).start().unwrap(),
                false => warm.load(async move |key| row.row(key, seconds(1)).await).start().unwrap(),
            };
            for round in 0..20 {
                sleep(millis(370)).await;
                let first = 1_000_000 + round * 100;
                let waited = read_cold(&acme, first..first + left).await;
                assert_eq!(waited, seconds(0), "{priority:?}, round {round}");
            }
            assert_eq!(source.most_running() as u32, 16 - left, "{priority:?}: and it uses what is left");
            drop(handle);
            cache.close().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_warm_ups_of_a_tenant_leave_as_many_places_as_one() {
    let cache = builder().max_loads(16).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let start = |first: u32| {
        let row = source.clone();
        let warm = acme.warm(&ROWS, first..first + 1_000).load(async move |key| row.row(key, seconds(1)).await);
        warm.concurrency(100).start().unwrap()
    };
    let handles = [start(0), start(5_000), start(9_000)];
    sleep(seconds(10)).await;
    assert_eq!(source.most_running(), 4);
    assert!(handles.iter().all(|handle| handle.progress().loaded > 0), "each has its turn");
}

#[tokio::test(start_paused = true)]
async fn readers_that_wait_for_a_place_go_before_the_warm_up() {
    let cache = builder().max_loads(4).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    // forty readers keep all places for 400 ms
    let readers: Vec<_> = (0..40)
        .map(|key| {
            let (ns, read) = (acme.clone(), source.clone());
            tokio::spawn(async move { ns.get_or_load(ROWS.key(&key), move || read.row(key, millis(40))).await })
        })
        .collect();
    settle().await;
    let row = source.clone();
    let handle = acme.warm(&ROWS, 100..110).load(async move |key| row.row(key, millis(1)).await).start().unwrap();
    sleep(millis(350)).await;
    assert_eq!((source.loaded().0, handle.progress().done()), (36, 0), "36 readers, and no key of the warm-up");
    assert!(handle.finish().await.is_success());
    for reader in readers {
        reader.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_single_place_for_loads_a_warm_up_takes_it_while_no_reader_wants_it() {
    let cache = builder().max_loads(1).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let row = source.clone();
    let handle = acme.warm(&ROWS, 0..50).load(async move |key| row.row(key, millis(10)).await).start().unwrap();
    sleep(millis(5)).await;
    let waited = read_cold(&acme, 1_000..1_010).await;
    // the load that was under way, then the readers, one after the other
    assert!(waited <= millis(5 + 10 * 10), "{waited:?}");
    assert!(handle.finish().await.is_success());
    assert_eq!((source.loaded(), source.most_running()), ((50, 1), 1));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

const PAGES: Keyspace<u32, Vec<u8>> = Keyspace::new("pages", TTL.with_ttl(stratacache::hours(1)));

/// Reads pages by a Zipf-like law and returns the hit ratio in per mille; every tenth read lets others run.
async fn hit_ratio(ns: &Namespace, random: &mut Random, reads: usize) -> usize {
    let mut hits = 0;
    for n in 0..reads {
        // the product of two uniform numbers favours the small ones
        let key = (random.below(3_000) * random.below(3_000) / 3_000) as u32;
        if ns.get(PAGES.key(&key)).await.is_some() {
            hits += 1;
        } else {
            let load = async || Ok::<_, &str>(vec![1; 1_000]);
            ns.get_or_load(PAGES.key(&key), load).await.unwrap();
        }
        if n % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    hits * 1_000 / reads
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_much_larger_than_memory_does_not_take_what_readers_use() {
    let seed = 20_261_122;
    println!("seed {seed}");
    let cache = builder().memory(2 << 20).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let mut random = Random(seed);
    hit_ratio(&acme, &mut random, 30_000).await;
    let alone = hit_ratio(&acme, &mut random, 30_000).await;
    let load = async |keys: Vec<u32>| {
        tokio::task::yield_now().await;
        Ok::<_, &str>(keys.into_iter().map(|key| (key, vec![0; 1_000])).collect::<Vec<_>>())
    };
    let handle = acme.warm(&PAGES, 1_000_000..1_100_000).load_many(load).batch(50).start().unwrap();
    let beside = hit_ratio(&acme, &mut random, 30_000).await;
    let warmed = handle.progress().loaded;
    println!("hit ratio {alone} alone, {beside} beside a warm-up of {warmed} keys, in per mille");
    assert!(warmed > 10_000, "{warmed}: it was going on meanwhile, with five times what fits");
    assert!(beside * 100 >= alone * 95, "{beside} of {alone} per mille");
    drop(handle);
}

/// Reads for five seconds, eight readers every 10 ms, half of them cold keys whose loads take 5 to 24 ms. Returns how long each waited for its
/// answer, sorted.
async fn waits(ns: &Namespace, random: &mut Random, first_cold: u32) -> Vec<std::time::Duration> {
    let mut reads = Vec::new();
    for round in 0..500 {
        for n in 0..8 {
            let key = if n % 2 == 0 { random.below(500) as u32 } else { first_cold + round * 8 + n };
            let (ns, takes) = (ns.clone(), millis(5 + random.below(20)));
            reads.push(tokio::spawn(async move {
                let asked = Instant::now();
                let load = async move || {
                    sleep(takes).await;
                    Ok::<_, &str>(1)
                };
                ns.get_or_load(ROWS.key(&key), load).await.unwrap();
                asked.elapsed()
            }));
        }
        sleep(millis(10)).await;
    }
    let mut waits = Vec::with_capacity(reads.len());
    for read in reads {
        waits.push(read.await.unwrap());
    }
    waits.sort_unstable();
    waits
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_of_a_hundred_thousand_keys_leaves_the_p99_of_readers_as_it_was_and_keeps_its_rate() {
    let seed = 1_122;
    println!("seed {seed}");
    for rate in [None, Some(3_500)] {
        let cache = builder().max_loads(16).memory(128 << 20).build().await.unwrap();
        let acme = tenant(&cache, "acme");
        let mut random = Random(seed);
        let alone = waits(&acme, &mut random, 1_000_000).await;
        let source = Source::default();
        let rows = source.clone();
        let warm = acme.warm(&ROWS, 100_000..200_000).load_many(async move |keys| rows.rows(keys, millis(100)).await);
        // as much at once as it can get
        let warm = warm.concurrency(64);
        let start = Instant::now();
        let warm = match rate {
            Some(rate) => warm.rate(rate),
            None => warm,
        };
        let handle = warm.start().unwrap();
        let beside = waits(&acme, &mut random, 2_000_000).await;
        assert!(!handle.is_finished(), "it was going on all the time");
        let report = handle.finish().await;
        assert_eq!((report.progress.loaded, source.loaded()), (100_000, (100_000, 1)));
        if let Some(rate) = rate {
            assert!(start.elapsed() >= seconds(100_000 / u64::from(rate)), "{:?}", start.elapsed());
        }
        let p99 = |waits: &[std::time::Duration]| waits[waits.len() * 99 / 100];
        println!("p99 {:?} alone, {:?} beside it, rate {rate:?}", p99(&alone), p99(&beside));
        assert!(p99(&beside) * 2 <= p99(&alone) * 3, "{:?} alone, {:?} beside it", p99(&alone), p99(&beside));
        cache.close().await.unwrap();
    }
}
