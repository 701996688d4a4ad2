//! The report of use.

use stratacache::{
    Resource,
    resource::{Advice, Usage, Window},
    seconds,
};
use tokio::time::advance;

use crate::{
    kit::{Contacts, ROWS, contact, resource},
    support::{cache, tenant},
};

#[tokio::test(start_paused = true)]
async fn the_report_names_hot_items_and_cold_partitions() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    for n in 0..50 {
        contacts.one(1).await.unwrap();
        if n % 10 == 0 {
            contacts.one(2).await.unwrap();
            contacts.partition("Bonn".to_owned()).await.unwrap();
        }
    }
    contacts.partition("Ulm".to_owned()).await.unwrap();
    let report = contacts.usage();
    let hot: Vec<_> = report.hot_items.iter().map(|key| (key.name.as_str(), key.reads, key.loads)).collect();
    assert_eq!(hot, [("acme: 1", 50, 1), ("acme: 2", 5, 1)]);
    let cold: Vec<_> = report.cold_partitions.iter().map(|key| (key.name.as_str(), key.reads)).collect();
    assert_eq!(cold, [("acme: \"Ulm\"", 1)]);
    assert_eq!(report.kinds.iter().map(|kind| kind.kind).collect::<Vec<_>>(), ["items", "partitions"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["hot_items"][0]["reads"], 50);
    assert_eq!(json["kinds"][0]["advice"]["advice"], "too_few_reads");
    let shown = report.to_string();
    assert!(shown.contains("items: 55 reads, 2 loads") && shown.contains("acme: \"Ulm\": 1 reads"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_longer_ttl_is_advised_where_lives_end_and_nothing_was_written() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    for n in 0..40 {
        for _ in 0..10 {
            contacts.one(1).await.unwrap();
            contacts.list(None, Window::first(10)).await.unwrap();
        }
        if n % 10 == 0 {
            contacts.save(contact(1, "Bonn", "new")).await.unwrap();
        } else {
            advance(seconds(61)).await;
        }
    }
    let report = contacts.usage();
    assert_eq!((report.writes, report.kinds.len()), (4, 2));
    for kind in &report.kinds {
        // 36 lives ended, and one of them was not read again
        assert_eq!((kind.reads, kind.loads, kind.again_expired, kind.again_written), (400, 40, 35, 4), "{kind}");
        assert_eq!(kind.advice, Advice::Raise { to_ms: 240_000, saves_loads: 27 }, "{kind}");
    }
    assert!(report.to_string().contains("a ttl of 240s would have saved about 27 loads"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn where_writes_decide_the_ttl_hardly_matters() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    for n in 0..40 {
        for _ in 0..10 {
            contacts.one(1).await.unwrap();
        }
        contacts.save(contact(1, "Bonn", &n.to_string())).await.unwrap();
    }
    let report = contacts.usage();
    assert_eq!((report.kinds[0].again_written, report.kinds[0].advice), (39, Advice::WritesDecide), "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_report_stays_small_whatever_is_read() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &[]);
    for n in 0..3_000 {
        contacts.one(n).await.unwrap();
        contacts.one(7).await.unwrap();
        contacts.partition("x".repeat(n as usize)).await.unwrap();
    }
    let report = contacts.usage();
    assert_eq!((report.hot_items.len(), report.cold_partitions.len()), (20, 20));
    assert_eq!((report.hot_items[0].name.as_str(), report.hot_items[0].reads), ("acme: 7", 3_001));
    assert!(serde_json::to_string(&report).unwrap().len() < 10_000);
}

#[tokio::test(start_paused = true)]
async fn resources_that_are_made_for_each_request_are_counted_together() {
    let cache = cache().await;
    let (source, usage) = (Contacts::new(&ROWS), Usage::new());
    for _ in 0..5 {
        for name in ["acme", "globex"] {
            let contacts = Resource::new(&tenant(&cache, name), source.clone()).counted_in(&usage);
            contacts.one(1).await.unwrap();
        }
    }
    let hot = usage.report().hot_items;
    let shown: Vec<_> = hot.iter().map(|key| (key.name.as_str(), key.reads, key.loads)).collect();
    assert_eq!(shown, [("acme: 1", 5, 1), ("globex: 1", 5, 1)]);
}
