//! Hot keys over a restart: saved by `close`, warmed by the next process, fenced as any load.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use stratacache::{
    Cache, CacheBuilder, HotKeys, Keyspace, Loaded, Namespace, TenantId, WarmEnd, event::EventKind, hours, millis,
    seconds,
};
use stratacache_testkit::{clock::SimulatedClock, tiers::MemoryTier};
use tokio::time::{Instant, sleep};

use crate::{
    kit::{ROWS, Source, TTL, held},
    support::{builder, settle, tenant},
};

const TEXTS: Keyspace<str, String> = Keyspace::new("texts", TTL);
const PAIRS: Keyspace<(String, u32), u64> = Keyspace::new("pairs", TTL);

/// A file for one test, removed with it.
struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("hot-keys")
    }

    fn hot(&self) -> HotKeys {
        HotKeys::new(self.path())
    }

    async fn open(&self) -> Cache {
        builder().hot_keys(self.hot()).build().await.unwrap()
    }
}

/// Inserts rows and reads them so often.
async fn heat(ns: &Namespace, keys: std::ops::Range<u32>, reads: usize) {
    for key in keys {
        ns.insert(ROWS.key(&key), u64::from(key)).await.unwrap();
        for _ in 0..reads {
            assert!(ns.get(ROWS.key(&key)).await.is_some());
        }
    }
}

/// Loads rows as 1,000 times their key, and notes which of whom.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(String, u32)>>>);

impl Asked {
    async fn row(self, ns: Namespace, key: u32) -> Result<u64, &'static str> {
        let tenant = ns.tenant().map_or_else(|| "global".to_owned(), ToString::to_string);
        self.0.lock().unwrap().push((tenant, key));
        Ok(u64::from(key) * 1_000)
    }

    fn sorted(&self) -> Vec<(String, u32)> {
        let mut all = self.0.lock().unwrap().clone();
        all.sort();
        all
    }

    /// Warms the hot rows of a cache.
    async fn warm(
        &self,
        cache: &Cache,
    ) -> stratacache::WarmReport<stratacache::op::HotKey, stratacache::op::HotLoadError> {
        let asked = self.clone();
        cache.warm_hot().load(&ROWS, async move |ns, key: u32| asked.row(ns, key).await).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_warm_after_a_restart_wherever_it_was() {
    let file = File::new();
    let cache = file.open().await;
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    let deep = acme.namespace("a").namespace(("b", 7));
    heat(&acme, 0..3, 2).await;
    heat(&deep, 3..5, 2).await;
    heat(&globex, 5..6, 2).await;
    heat(&cache.global(), 6..7, 2).await;
    heat(&acme, 10..20, 0).await;
    acme.insert("a key of no keyspace", 1_u32).await.unwrap();
    acme.get::<u32>("a key of no keyspace").await.unwrap();
    cache.close().await.unwrap();

    let cache = file.open().await;
    let asked = Asked::default();
    let report = asked.warm(&cache).await;
    assert!(report.is_success(), "{report:?}");
    assert_eq!((report.progress.loaded, report.progress.total), (7, Some(7)));
    let of = |tenant: &str, keys: std::ops::Range<u32>| keys.map(|key| (tenant.to_owned(), key)).collect::<Vec<_>>();
    assert_eq!(
        asked.sorted(),
        [of("acme", 0..5), of("global", 6..7), of("globex", 5..6)].concat(),
        "what was not read is not hot"
    );
    let (acme, globex) = (tenant(&cache, "acme"), tenant(&cache, "globex"));
    assert_eq!(held(&acme, 0..20).await, 3, "each in its own namespace");
    assert_eq!(held(&acme.namespace("a").namespace(("b", 7)), 0..20).await, 2);
    assert_eq!(held(&globex, 0..20).await, 1);
    assert_eq!(acme.get(ROWS.key(&2)).await.as_deref(), Some(&2_000), "values are not saved");
}

#[tokio::test(start_paused = true)]
async fn keys_come_back_typed_and_what_no_loader_takes_is_left_out() {
    let file = File::new();
    let cache = file.open().await;
    let acme = tenant(&cache, "acme");
    acme.insert(TEXTS.key("a/b*"), "x".to_owned()).await.unwrap();
    acme.insert(PAIRS.key(&("p".to_owned(), 7)), 1).await.unwrap();
    heat(&acme, 0..2, 1).await;
    acme.get(TEXTS.key("a/b*")).await.unwrap();
    acme.get(PAIRS.key(&("p".to_owned(), 7))).await.unwrap();
    cache.close().await.unwrap();

    let cache = file.open().await;
    let report = cache
        .warm_hot()
        .load(&TEXTS, async |_, key: String| Ok::<_, &str>(format!("<{key}>")))
        .load_many(&PAIRS, async |_, keys: Vec<(String, u32)>| {
            Ok::<_, &str>(keys.into_iter().map(|key| (key.clone(), u64::from(key.1))).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!((report.progress.loaded, report.progress.total), (2, Some(2)));
    let acme = tenant(&cache, "acme");
    assert_eq!(acme.get(TEXTS.key("a/b*")).await.as_deref().map(String::as_str), Some("<a/b*>"));
    assert_eq!(acme.get(PAIRS.key(&("p".to_owned(), 7))).await.as_deref(), Some(&7));
}

/// Keys of a type of one's own.
#[cfg(feature = "macros")]
mod own {
    use stratacache::{DecodePart, KeyPart, Keyspace};

    #[derive(Debug, Clone, PartialEq, Eq, Hash, KeyPart, DecodePart)]
    pub(super) struct Page {
        pub(super) list: String,
        pub(super) order: Order,
    }

    #[derive(Debug, Clone, PartialEq, Eq, Hash, KeyPart, DecodePart)]
    pub(super) enum Order {
        ByName,
        ByAge { oldest_first: bool },
    }

    pub(super) const PAGES: Keyspace<Page, String> = Keyspace::new("pages", super::TTL);
}

#[cfg(feature = "macros")]
#[tokio::test(start_paused = true)]
async fn keys_of_a_derived_type_come_back_as_they_were() {
    use own::{Order, PAGES, Page};
    let file = File::new();
    let cache = file.open().await;
    let acme = tenant(&cache, "acme");
    let page = |order| Page { list: "a/b".to_owned(), order };
    let pages = [page(Order::ByName), page(Order::ByAge { oldest_first: true })];
    for page in &pages {
        acme.insert(PAGES.key(page), String::new()).await.unwrap();
        acme.get(PAGES.key(page)).await.unwrap();
    }
    cache.close().await.unwrap();

    let cache = file.open().await;
    let load = async |_, page: Page| Ok::<_, &str>(format!("{page:?}"));
    let report = cache.warm_hot().load(&PAGES, load).await.unwrap();
    assert_eq!((report.progress.loaded, report.progress.total), (2, Some(2)));
    for page in &pages {
        let found = tenant(&cache, "acme").get(PAGES.key(page)).await.unwrap();
        assert_eq!(*found, format!("{page:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_below_has_is_promoted_and_only_the_rest_is_loaded() {
    let file = File::new();
    let (clock, below) = (SimulatedClock::new(), MemoryTier::new("below").persistent(true));
    let open = || builder().clock(clock.clone()).tier(below.with_journal()).hot_keys(file.hot()).build();
    let cache = open().await.unwrap();
    heat(&tenant(&cache, "acme"), 0..10, 1).await;
    cache.close().await.unwrap();

    let cache = open().await.unwrap();
    let acme = tenant(&cache, "acme");
    acme.invalidate(ROWS.key(&9)).await.unwrap();
    let report = cache.warm_hot().from_tiers(&ROWS).await.unwrap();
    assert_eq!((report.progress.promoted, report.progress.missing), (9, 1));
    let asked = Asked::default();
    let report = asked.warm(&cache).await;
    assert_eq!((report.progress.there, report.progress.loaded), (9, 1));
    assert_eq!(asked.sorted(), [("acme".to_owned(), 9)]);
    assert_eq!(acme.get(ROWS.key(&1)).await.as_deref(), Some(&1), "as it was");
}

#[tokio::test(start_paused = true)]
async fn a_change_while_a_hot_key_is_loaded_beats_it() {
    let file = File::new();
    let cache = file.open().await;
    heat(&tenant(&cache, "acme"), 1..4, 1).await;
    cache.close().await.unwrap();

    let cache = file.open().await;
    let acme = tenant(&cache, "acme");
    let source = Source::default();
    let row = source.clone();
    let warm = cache.warm_hot().load(&ROWS, async move |_, key: u32| row.row(key, millis(50)).await);
    let handle = warm.start().unwrap();
    while source.calls() == 0 {
        sleep(millis(5)).await;
    }
    source.write();
    acme.invalidate(ROWS.key(&1)).await.unwrap();
    acme.insert(ROWS.key(&2), 2_001).await.unwrap();
    assert_eq!(handle.finish().await.progress.loaded, 3);
    settle().await;
    assert_eq!(acme.get(ROWS.key(&1)).await.as_deref(), None);
    assert_eq!(acme.get(ROWS.key(&2)).await.as_deref(), Some(&2_001));
    assert_eq!(acme.get(ROWS.key(&3)).await.as_deref(), Some(&3_000));
}

#[tokio::test(start_paused = true)]
async fn what_was_invalidated_or_cleared_is_not_written_down() {
    let file = File::new();
    let cache = file.open().await;
    let (acme, gone) = (tenant(&cache, "acme"), tenant(&cache, "gone"));
    heat(&acme, 0..4, 1).await;
    heat(&acme.namespace("inner"), 4..8, 1).await;
    heat(&gone, 8..12, 1).await;
    acme.invalidate(ROWS.key(&0)).await.unwrap();
    acme.namespace("inner").clear().await.unwrap();
    gone.clear().await.unwrap();
    cache.close().await.unwrap();
    let written = std::fs::read(file.path()).unwrap();
    assert!(!written.windows(4).any(|four| four == b"gone"));
    let cache = file.open().await;
    let asked = Asked::default();
    assert_eq!(asked.warm(&cache).await.progress.loaded, 3);
}

#[tokio::test(start_paused = true)]
async fn the_hottest_are_kept_and_tenants_share_alike() {
    let file = File::new();
    let open = || builder().hot_keys(file.hot().max_keys(20)).build();
    let cache = open().await.unwrap();
    heat(&tenant(&cache, "large"), 0..1_000, 1).await;
    heat(&tenant(&cache, "large"), 1_000..1_005, 3).await;
    heat(&tenant(&cache, "small"), 0..4, 1).await;
    cache.close().await.unwrap();
    let cache = open().await.unwrap();
    let asked = Asked::default();
    assert_eq!(asked.warm(&cache).await.progress.loaded, 20);
    let large: Vec<u32> =
        asked.sorted().into_iter().filter(|(tenant, _)| tenant == "large").map(|(_, key)| key).collect();
    assert_eq!(large.len(), 16);
    assert!(large.ends_with(&[1_000, 1_001, 1_002, 1_003, 1_004]), "{large:?}");
}

#[tokio::test(start_paused = true)]
async fn where_there_are_more_tenants_than_keys_are_kept_some_have_one() {
    let file = File::new();
    let open = || builder().hot_keys(file.hot().max_keys(5)).build();
    let cache = open().await.unwrap();
    for n in 0..20 {
        heat(&tenant(&cache, &format!("t{n}")), 0..3, 1).await;
    }
    cache.close().await.unwrap();
    let cache = open().await.unwrap();
    assert_eq!(Asked::default().warm(&cache).await.progress.loaded, 5);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_damaged_foreign_old_or_missing_warms_nothing_and_is_no_error() {
    let file = File::new();
    let clock = SimulatedClock::new();
    let with = |change: fn(CacheBuilder) -> CacheBuilder| {
        change(builder().clock(clock.clone()).hot_keys(file.hot().max_age(hours(1)))).build()
    };
    let cache = with(|b| b).await.unwrap();
    heat(&tenant(&cache, "acme"), 0..4, 1).await;
    cache.close().await.unwrap();
    let whole = std::fs::read(file.path()).unwrap();

    let ignored = async |cache: Cache| {
        let mut events = cache.events();
        let asked = Asked::default();
        let report = asked.warm(&cache).await;
        assert!(matches!(report.ended, WarmEnd::Complete));
        assert_eq!(report.progress.done(), 0);
        std::iter::from_fn(|| events.try_next()).find_map(|event| match event.unwrap().kind {
            EventKind::HotKeysIgnored { reason } => Some(reason),
            _ => None,
        })
    };
    for at in [0, 8, 9, 20, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(file.path(), damaged).unwrap();
        assert!(ignored(with(|b| b).await.unwrap()).await.is_some(), "{at}");
    }
    std::fs::write(file.path(), &whole).unwrap();
    let foreign = ignored(with(|b| b.deployment_secret([9; 16])).await.unwrap()).await;
    assert_eq!(foreign, Some("damaged, or of another deployment"));
    sleep(hours(2)).await;
    assert_eq!(ignored(with(|b| b).await.unwrap()).await, Some("older than max_age"));
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(ignored(with(|b| b).await.unwrap()).await, None, "the first start has none");
    std::fs::create_dir(file.path()).unwrap();
    let cache = with(|b| b).await.unwrap();
    assert_eq!(ignored(cache.clone()).await, Some("it cannot be read"));
    heat(&tenant(&cache, "acme"), 0..4, 1).await;
    cache.close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn the_file_is_its_owners_alone_and_takes_the_place_of_the_last_one_whole() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let file = File::new();
    let other = file.0.path().join("other");
    std::fs::write(&other, "another's").unwrap();
    symlink(&other, file.path()).unwrap();
    std::fs::write(file.0.path().join("hot-keys.tmp"), "left by a process that was killed").unwrap();
    let cache = file.open().await;
    heat(&tenant(&cache, "acme"), 0..4, 1).await;
    cache.close().await.unwrap();
    let about = std::fs::symlink_metadata(file.path()).unwrap();
    assert!(about.is_file(), "the link was replaced, not followed");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(other).unwrap(), "another's");
    assert!(!file.0.path().join("hot-keys.tmp").exists());
    let asked = Asked::default();
    assert_eq!(asked.warm(&file.open().await).await.progress.loaded, 4);
}

#[tokio::test(start_paused = true)]
async fn many_small_parts_keep_one_rate() {
    let file = File::new();
    let cache = file.open().await;
    for n in 0..30 {
        heat(&tenant(&cache, &format!("t{n}")), 0..1, 1).await;
    }
    cache.close().await.unwrap();
    let cache = file.open().await;
    let began = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&began);
    let load = async move |_: Namespace, key: u32| {
        noted.lock().unwrap().push(Instant::now());
        Ok::<_, &str>(u64::from(key))
    };
    let report = cache.warm_hot().load(&ROWS, load).rate(10).await.unwrap();
    assert_eq!(report.progress.loaded, 30);
    let began = began.lock().unwrap();
    for (first, eleventh) in began.iter().zip(&began[10..]) {
        assert!(*eleventh - *first >= seconds(1));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_stopped_as_others_are_and_failures_say_whose_they_are() {
    let file = File::new();
    let cache = file.open().await;
    for n in 0..10 {
        heat(&tenant(&cache, &format!("t{n}")), 0..1, 1).await;
    }
    cache.close().await.unwrap();
    let cache = file.open().await;
    let load = async |_, _: u32| {
        sleep(millis(100)).await;
        Err::<Loaded<u64>, _>("no row")
    };
    let mut handle = cache.warm_hot().load_with(&ROWS, load).start().unwrap();
    while handle.changed().await.is_some_and(|progress| progress.done() < 3) {}
    handle.stop();
    let report = handle.finish().await;
    assert!(matches!(report.ended, WarmEnd::Stopped));
    assert!((3..10).contains(&report.progress.failed), "{report:?}");
    assert_eq!(report.failures.len() as u64, report.progress.failed);
    let first = &report.failures[0];
    assert_eq!(first.key.keyspace, "rows");
    assert_eq!(first.key.encoded, ROWS.key(&0).as_bytes());
    assert!(first.error.to_string().contains("no row"));
    assert_ne!(first.key.tenant, report.failures[1].key.tenant);
    // dropped with its cache
    let handle =
        cache.warm_hot().load(&ROWS, async |_, _: u32| Ok::<u64, &str>(std::future::pending().await)).start().unwrap();
    sleep(millis(10)).await;
    cache.close().await.unwrap();
    assert!(matches!(handle.finish().await.ended, WarmEnd::Closed));
    assert!(cache.warm_hot().await.is_err(), "closed");
}

#[tokio::test]
async fn settings_of_no_use_are_refused_by_name() {
    let file = File::new();
    for (hot, knob) in [
        (file.hot().max_keys(0), "max_keys"),
        (file.hot().max_age(seconds(0)), "max_age"),
        (file.hot().deadline(hours(1)), "deadline"),
        (HotKeys::new("/no/such/directory/file"), "hot_keys"),
        (HotKeys::new("/"), "hot_keys"),
    ] {
        let error = builder().hot_keys(hot).build().await.unwrap_err();
        assert!(error.to_string().contains(knob), "{error}");
    }
}

#[tokio::test]
async fn without_the_setting_nothing_is_written_and_nothing_warmed() {
    let cache = builder().build().await.unwrap();
    heat(&tenant(&cache, "acme"), 0..4, 1).await;
    let asked = Asked::default();
    assert_eq!(asked.warm(&cache).await.progress.done(), 0);
    cache.close().await.unwrap();
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn where_the_cache_encrypts_keys_are_sealed_and_unreadable_once_the_tenant_is_destroyed() {
    use stratacache::MemoryKeys;
    let file = File::new();
    let keys = MemoryKeys::new();
    let open = || builder().encryption(keys.clone()).hot_keys(file.hot()).build();
    let cache = open().await.unwrap();
    for name in ["acme", "gone"] {
        let ns = tenant(&cache, name);
        ns.insert(TEXTS.key("a secret word"), "x".to_owned()).await.unwrap();
        ns.get(TEXTS.key("a secret word")).await.unwrap();
    }
    cache.close().await.unwrap();
    let written = std::fs::read(file.path()).unwrap();
    assert!(!written.windows(6).any(|six| six == b"secret"));

    let cache = open().await.unwrap();
    tenant(&cache, "gone").destroy().await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let load = async move |ns: Namespace, key: String| {
        assert_eq!(ns.tenant(), Some(&TenantId::parse("acme").unwrap()));
        counted.fetch_add(1, SeqCst);
        Ok::<_, &str>(key)
    };
    let report = cache.warm_hot().load(&TEXTS, load).await.unwrap();
    assert_eq!((report.progress.loaded, count.load(SeqCst)), (1, 1));
    let plain = builder().hot_keys(file.hot()).build().await.unwrap();
    let report = plain.warm_hot().from_tiers(&TEXTS).await.unwrap();
    assert_eq!(report.progress.done(), 0, "a cache without keys reads none");
}
