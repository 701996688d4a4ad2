//! Reading, warming, and what a source that fails does.

use stratacache::{
    Consistency, Freshness, LoadError,
    resource::{Scope, Window},
    seconds,
};
use tokio::time::advance;

use crate::{
    kit::{ROWS, read_all, resource},
    support::{cache, tenant},
};

#[tokio::test(start_paused = true)]
async fn what_was_read_is_not_asked_for_again_before_its_life_ends() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    assert_eq!(read_all(&contacts, &source).await.len(), 12);
    assert!(read_all(&contacts, &source).await.is_empty());
    advance(seconds(61)).await;
    assert_eq!(read_all(&contacts, &source).await.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_does_not_exist_is_known_to_be_absent_until_it_is_saved() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &[]);
    for _ in 0..2 {
        assert!(contacts.one(9).await.unwrap().is_none());
        assert!(contacts.many([9]).await.unwrap().is_empty());
    }
    assert_eq!(source.asked(), ["one 9"]);
    contacts.save(crate::kit::contact(9, "Bonn", "new")).await.unwrap();
    assert_eq!(contacts.one(9).await.unwrap().unwrap().name, "new");
}

#[tokio::test(start_paused = true)]
async fn many_items_are_loaded_by_one_call_for_those_that_are_missing() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    contacts.one(2).await.unwrap();
    source.asked();
    let found = contacts.many([1, 2, 3, 99]).await.unwrap();
    assert_eq!(source.asked(), ["many [1, 3, 99]"]);
    assert_eq!((found.len(), &*found[&3].city), (3, "Kiel"));
    contacts.one(3).await.unwrap();
    assert!(contacts.one(99).await.unwrap().is_none());
    assert!(source.asked().is_empty(), "they are the same entries");
}

#[tokio::test(start_paused = true)]
async fn a_read_takes_the_options_of_the_operations_of_a_namespace() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    let one = contacts.one(1).ttl(seconds(7)).tag("vip").consistency(Consistency::Latest).await.unwrap().unwrap();
    assert_eq!(one.fresh_for(), seconds(7));
    let list = contacts.list(None, Window::first(1)).ttl(seconds(5)).tag("vip").await.unwrap();
    assert_eq!(list.fresh_for(), seconds(5));
    tenant(&cache, "acme").invalidate_tag("vip").await.unwrap();
    assert_eq!(contacts.one(1).await.unwrap().unwrap().freshness(), Freshness::Loaded);
    assert_eq!(contacts.list(None, Window::first(1)).await.unwrap().freshness(), Freshness::Loaded);
    assert!(contacts.namespace().get(contacts.key_for_one(&1)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_an_error_and_nothing_is_kept() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    source.fail(true);
    for _ in 0..2 {
        match contacts.one(1).await {
            Err(LoadError::Loader(error)) => assert_eq!(*error, "the source is down"),
            other => panic!("{other:?}"),
        }
        assert!(contacts.many([1, 2]).await.is_err());
        assert!(contacts.partition("Bonn".to_owned()).await.is_err());
    }
    source.fail(false);
    assert_eq!(contacts.one(1).await.unwrap().unwrap().id, 1);
}

#[tokio::test(start_paused = true)]
async fn warming_returns_the_value_and_loads_again_when_forced() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let bonn = || "Bonn".to_owned();
    for forced in [false, false, true] {
        let page = || ("name".to_owned(), 1);
        if forced {
            assert_eq!(contacts.warm_one(1).force().await.unwrap().unwrap().id, 1);
            assert_eq!(contacts.warm_many([2, 3, 77]).force().await.unwrap().len(), 2);
            assert_eq!(contacts.warm_page(page()).force().await.unwrap().len(), 5);
            assert_eq!(contacts.warm_list(None, Window::first(3)).force().await.unwrap().len(), 3);
            assert_eq!(*contacts.warm_count(None).force().await.unwrap(), 5);
            assert_eq!(*contacts.warm_query("old".to_owned()).force().await.unwrap(), 5);
            assert_eq!(contacts.warm_partition(bonn()).force().await.unwrap().len(), 2);
        } else {
            assert_eq!(contacts.warm_one(1).await.unwrap().unwrap().id, 1);
            assert_eq!(contacts.warm_many([2, 3, 77]).await.unwrap().len(), 2);
            assert_eq!(contacts.warm_page(page()).await.unwrap().len(), 5);
            assert_eq!(contacts.warm_list(None, Window::first(3)).await.unwrap().len(), 3);
            assert_eq!(*contacts.warm_count(None).await.unwrap(), 5);
            assert_eq!(*contacts.warm_query("old".to_owned()).await.unwrap(), 5);
            assert_eq!(contacts.warm_partition(bonn()).await.unwrap().len(), 2);
        }
    }
    assert_eq!(source.asked().len(), 14, "each once, and once more by force");
    contacts.one(1).await.unwrap();
    contacts.many([2, 77]).await.unwrap();
    contacts.partition(bonn()).await.unwrap();
    assert!(source.asked().is_empty(), "readers find what was warmed");
    assert_eq!(contacts.usage().kinds[0].reads, 3, "warming is not reading");
}

#[tokio::test(start_paused = true)]
async fn what_was_warmed_by_force_is_new_and_is_what_a_write_forgets() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    contacts.many([1, 2]).await.unwrap();
    // somebody writes past the resource
    let _ = stratacache::resource::WritableSource::save(&source, crate::kit::contact(1, "Bonn", "new")).await.unwrap();
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "old");
    assert_eq!(contacts.warm_many([1, 2]).force().await.unwrap()[&1].name, "new");
    assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new");
    contacts.warm_partition("Bonn".to_owned()).await.unwrap();
    contacts.save(crate::kit::contact(2, "Bonn", "newer")).await.unwrap();
    let bonn = contacts.partition("Bonn".to_owned()).await.unwrap();
    assert_eq!(bonn.iter().map(|contact| &*contact.name).collect::<Vec<_>>(), ["new", "newer"]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_what_it_says_and_scopes_add_up() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let other = tenant(&cache, "acme");
    other.insert("other", 1_u8).tag("t").await.unwrap();
    read_all(&contacts, &source).await;
    let lists = crate::kit::LISTS.map(str::to_owned);
    let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (scope, asked) in [
        (Scope::item(&2), of(&["one 2"])),
        (Scope::lists(), lists.to_vec()),
        (Scope::partition(&"Kiel".to_owned()), of(&["partition Kiel"])),
        (Scope::partitions(), of(&["partition Bonn", "partition Kiel", "partition Ulm"])),
        (Scope::item(&1).and(Scope::item(&5)).and(Scope::item(&1)), of(&["one 1", "one 5"])),
    ] {
        let shown = format!("{scope:?}");
        contacts.invalidate(scope).await.unwrap();
        assert_eq!(read_all(&contacts, &source).await, asked, "{shown}");
    }
    contacts.invalidate(Scope::everything().and(Scope::item(&1))).await.unwrap();
    assert_eq!(read_all(&contacts, &source).await.len(), 12);
    contacts.clear().await.unwrap();
    assert_eq!(read_all(&contacts, &source).await.len(), 12);
    assert!(other.get::<u8>("other").await.is_some(), "the resource is not the tenant");
    contacts.invalidate(Scope::tag("t")).await.unwrap();
    assert!(other.get::<u8>("other").await.is_none());
}
