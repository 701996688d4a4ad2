//! A write forgets what it touches, and nothing else.

use std::pin::pin;

use futures_util::FutureExt;
use stratacache::{
    Resource,
    resource::{Scope, Window, WriteError, Written},
    seconds,
};
use tokio::time::timeout;

use crate::{
    kit::{Contacts, LISTS, ROWS, Writing, contact, read_all, resource},
    support::{cache, settle, tenant},
};

/// What the source is asked after a write, besides what is made of many items.
async fn reloaded(contacts: &Resource<Contacts>, source: &Contacts) -> Vec<String> {
    source.asked();
    let asked = read_all(contacts, source).await;
    let (lists, others): (Vec<String>, Vec<String>) =
        asked.into_iter().partition(|call| LISTS.contains(&call.as_str()));
    assert_eq!(lists, LISTS, "all of these are made again");
    others
}

#[tokio::test(start_paused = true)]
async fn a_save_reloads_the_item_its_lists_and_its_partition_and_nothing_else() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let (globex, of_globex) = resource(&cache, "globex", &ROWS);
    read_all(&contacts, &source).await;
    read_all(&globex, &of_globex).await;
    let saved = contacts.save(contact(1, "Bonn", "new")).await.unwrap();
    assert_eq!((saved.item().unwrap().name.as_str(), saved.queued().is_none()), ("new", true));
    assert_eq!(saved.token(), saved.settled().await.unwrap());
    assert_eq!(reloaded(&contacts, &source).await, ["one 1", "partition Bonn"]);
    assert!(read_all(&globex, &of_globex).await.is_empty(), "another tenant");
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_moves_is_forgotten_in_the_partition_it_was_in_and_in_the_one_it_is_in() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    read_all(&contacts, &source).await;
    contacts.save(contact(1, "Ulm", "old")).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, ["one 1", "partition Bonn", "partition Ulm"]);
    contacts.delete(3).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, ["one 3", "partition Kiel"]);
    contacts.save(contact(3, "Kiel", "back")).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, ["one 3", "partition Kiel"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_know_what_there_was_forgets_all_partitions() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    source.writing(Writing::Forgetful);
    read_all(&contacts, &source).await;
    contacts.save(contact(1, "Ulm", "old")).await.unwrap();
    let all = ["partition Bonn", "partition Kiel", "partition Ulm"];
    assert_eq!(reloaded(&contacts, &source).await, [&["one 1"][..], &all].concat());
    contacts.delete(2).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, [&["one 2"][..], &all].concat());
}

#[tokio::test(start_paused = true)]
async fn deleting_what_is_gone_forgets_it_all_the_same() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    read_all(&contacts, &source).await;
    // another node has removed it, and died before its turn to say so
    let _ = stratacache::resource::WritableSource::delete(&source, &1).await.unwrap();
    let saved = contacts.delete(1).await.unwrap();
    assert!(saved.item().is_none() && !saved.is_changed() && saved.token().is_some());
    assert!(contacts.one(1).await.unwrap().is_none());
    assert_eq!(contacts.partition("Bonn".to_owned()).await.unwrap().len(), 1);
    assert_eq!(contacts.list(None, Window::first(9)).await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_the_source_says_is_touched_besides_is_forgotten_for_old_and_new() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    let acme = tenant(&cache, "acme");
    let globex = tenant(&cache, "globex");
    for city in ["Bonn", "Kiel", "Ulm"] {
        acme.insert(city, 1_u8).tag(("statistics", city)).await.unwrap();
        globex.insert(city, 1_u8).tag(("statistics", city)).await.unwrap();
    }
    contacts.save(contact(1, "Ulm", "old")).await.unwrap();
    for (city, is_there) in [("Bonn", false), ("Kiel", true), ("Ulm", false)] {
        assert_eq!(acme.get::<u8>(city).await.is_some(), is_there, "{city}");
        assert!(globex.get::<u8>(city).await.is_some(), "{city} of another tenant");
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_during_a_load_wins() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    source.stop(true);
    let readers = [
        tokio::spawn({
            let contacts = contacts.clone();
            async move { contacts.one(1).await.unwrap().map(|c| c.name.clone()) }
        }),
        tokio::spawn({
            let contacts = contacts.clone();
            async move { contacts.partition("Bonn".to_owned()).await.unwrap().first().map(|c| c.name.clone()) }
        }),
        tokio::spawn({
            let contacts = contacts.clone();
            async move { contacts.list(None, Window::first(1)).await.unwrap().first().map(|c| c.name.clone()) }
        }),
    ];
    settle().await; // each has read the old rows
    source.stop(false);
    contacts.save(contact(1, "Bonn", "new")).await.unwrap();
    source.go();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new");
    assert_eq!(contacts.partition("Bonn".to_owned()).await.unwrap()[0].name, "new");
    assert_eq!(contacts.list(None, Window::first(1)).await.unwrap()[0].name, "new");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_nobody_waits_for_any_more_ends_and_forgets() {
    for through in [false, true] {
        let cache = cache().await;
        let (contacts, source) = resource(&cache, "acme", &ROWS);
        read_all(&contacts, &source).await;
        source.stop(true);
        let mut save = Box::pin(contacts.save(contact(1, "Bonn", "new")).through(through).into_future());
        assert!(save.as_mut().now_or_never().is_none());
        source.until_stopped().await; // before it writes
        source.go();
        source.until_stopped().await; // after it has committed
        drop(save);
        assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "old", "not forgotten yet");
        source.stop(false);
        source.go();
        settle().await;
        assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new", "through: {through}");
        assert_eq!(contacts.partition("Bonn".to_owned()).await.unwrap()[0].name, "new");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_save_and_its_invalidation() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    source.stop(true);
    let save = tokio::spawn({
        let contacts = contacts.clone();
        async move { contacts.save(contact(1, "Bonn", "new")).await.map(|saved| saved.token().is_some()) }
    });
    source.until_stopped().await;
    let mut closing = pin!(cache.close());
    assert!(timeout(seconds(1), closing.as_mut()).await.is_err(), "the save is under way");
    source.stop(false);
    source.go();
    closing.await.unwrap();
    assert!(save.await.unwrap().unwrap(), "written and forgotten");
    assert_eq!(source.row(1).unwrap().name, "new");
    match contacts.save(contact(1, "Bonn", "late")).await {
        Err(WriteError::Refused(error)) => assert_eq!(error.kind(), stratacache::ErrorKind::Closed),
        other => panic!("{other:?}"),
    }
    assert_eq!(source.row(1).unwrap().name, "new", "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever_for_a_source_that_hangs() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    source.stop(true);
    let save = tokio::spawn({
        let contacts = contacts.clone();
        async move { contacts.save(contact(1, "Bonn", "new")).await.map(|_| ()) }
    });
    source.until_stopped().await;
    timeout(seconds(60), cache.close()).await.expect("flush_deadline is 5 s").unwrap();
    assert!(matches!(save.await.unwrap(), Err(WriteError::Abandoned)));
    assert_eq!(cache.active_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn write_through_serves_the_new_item_without_a_load_and_forgets_the_rest() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let contacts = contacts.write_through();
    read_all(&contacts, &source).await;
    contacts.save(contact(1, "Ulm", "new")).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, ["partition Bonn", "partition Ulm"]);
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new");
    contacts.save(contact(2, "Bonn", "new")).through(false).await.unwrap();
    assert_eq!(reloaded(&contacts, &source).await, ["one 2", "partition Bonn"]);
    contacts.delete(1).await.unwrap();
    assert!(contacts.one(1).await.unwrap().is_none(), "a delete stores nothing");
}

#[tokio::test(start_paused = true)]
async fn a_write_through_that_was_overtaken_by_another_write_stores_nothing_old() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let contacts = contacts.write_through();
    source.stop(true);
    let slow = tokio::spawn({
        let contacts = contacts.clone();
        async move { contacts.save(contact(1, "Bonn", "first")).await.map(|_| ()) }
    });
    source.until_stopped().await; // its stamp is taken
    source.go();
    source.until_stopped().await; // "first" is committed, and not yet stored
    source.stop(false);
    contacts.save(contact(1, "Bonn", "second")).await.unwrap();
    source.go();
    slow.await.unwrap().unwrap();
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "second");
}

#[tokio::test(start_paused = true)]
async fn writes_of_many_at_once_leave_what_the_source_has() {
    for through in [false, true] {
        let cache = cache().await;
        let (contacts, source) = resource(&cache, "acme", &ROWS);
        let tasks: Vec<_> = (0..200_u64)
            .map(|n| {
                let contacts = contacts.clone();
                tokio::spawn(async move {
                    let (id, city) = (n % 5 + 1, ["Bonn", "Kiel", "Ulm"][(n / 5 % 3) as usize]);
                    if n % 3 == 0 {
                        contacts.save(contact(id, city, &n.to_string())).through(through).await.unwrap();
                    }
                    contacts.one(id).await.unwrap();
                    contacts.partition(city.to_owned()).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for id in 1..=5 {
            assert_eq!(contacts.one(id).await.unwrap().as_deref().cloned(), source.row(id), "through: {through}");
        }
        for city in ["Bonn", "Kiel", "Ulm"] {
            let found = contacts.partition(city.to_owned()).await.unwrap();
            let truth: Vec<_> = (1..=5).filter_map(|id| source.row(id)).filter(|row| row.city == city).collect();
            assert_eq!(*found, truth, "{city}, through: {through}");
        }
    }
}

#[test]
fn what_was_written_is_said_in_words() {
    // each way to say it
    let all = [
        Written::created(1),
        Written::replaced(1, 2),
        Written::changed(1),
        Written::deleted(1),
        Written::removed(),
        Written::nothing(),
    ];
    assert_eq!(all.len(), 6);
    let scope: Scope<Contacts> = Scope::item(&1);
    assert!(!format!("{scope:?}").contains("Bonn"));
}
