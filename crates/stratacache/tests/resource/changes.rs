//! What a change says of a resource, so that whoever follows it forgets what a write would have touched.

use stratacache::{
    Cache, ErrorKind, Follower, Resource, Tag,
    follow::targets_to_json,
    resource::{Scope, Source},
};
use stratacache_testkit::outbox::MemorySource;

use crate::{
    kit::{Contacts, LISTS, ROWS, read_all, resource},
    support::{cache, tenant},
};

/// Writes what is to be invalidated into an outbox, as the transaction of the data would, and waits until it is.
async fn written(
    (outbox, follower): (&MemorySource, &Follower),
    whose: Option<&str>,
    contacts: &Resource<Contacts>,
    scope: Scope<Contacts>,
) {
    let targets = contacts.change_targets(&scope).unwrap();
    let before = follower.progress().applied;
    outbox.write_json(whose, &targets_to_json(&targets));
    let progress = follower.until(|progress| progress.applied > before).await.unwrap();
    assert_eq!(progress.set_aside, 0);
}

fn followed(cache: &Cache) -> (MemorySource, Follower) {
    let outbox = MemorySource::new("outbox");
    (outbox.clone(), cache.follow(outbox).start().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_change_forgets_what_its_scope_says_and_nothing_else() {
    let cache = cache().await;
    let (outbox, follower) = followed(&cache);
    let here = (&outbox, &follower);
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let of_a_user = (Contacts::new(&ROWS), tenant(&cache, "acme").namespace(("user", 42)));
    let nested = Resource::new(&of_a_user.1, of_a_user.0.clone());
    let (globex, of_globex) = resource(&cache, "globex", &ROWS);
    read_all(&contacts, &source).await;
    read_all(&nested, &of_a_user.0).await;
    read_all(&globex, &of_globex).await;

    written(here, Some("acme"), &contacts, Scope::item(&1)).await;
    assert_eq!(read_all(&contacts, &source).await, ["one 1"]);
    written(here, Some("acme"), &contacts, Scope::lists()).await;
    assert_eq!(read_all(&contacts, &source).await, LISTS);
    let moved = Scope::item(&2).and(Scope::partition(&"Bonn".to_owned())).and(Scope::partition(&"Ulm".to_owned()));
    written(here, Some("acme"), &contacts, moved).await;
    assert_eq!(read_all(&contacts, &source).await, ["one 2", "partition Bonn", "partition Ulm"]);
    written(here, Some("acme"), &contacts, Scope::partitions()).await;
    assert_eq!(read_all(&contacts, &source).await, ["partition Bonn", "partition Kiel", "partition Ulm"]);
    written(here, Some("acme"), &contacts, Scope::everything()).await;
    assert_eq!(read_all(&contacts, &source).await.len(), 5 + LISTS.len() + 3);
    assert!(read_all(&nested, &of_a_user.0).await.is_empty(), "the same source in another namespace");
    assert!(read_all(&globex, &of_globex).await.is_empty(), "another tenant");

    written(here, Some("acme"), &nested, Scope::item(&3)).await;
    assert_eq!(read_all(&nested, &of_a_user.0).await, ["one 3"]);
    assert!(read_all(&contacts, &source).await.is_empty());
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_namespace_of_a_resource_is_the_one_that_is_documented() {
    let cache = cache().await;
    let (outbox, follower) = followed(&cache);
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    read_all(&contacts, &source).await;
    assert_eq!(Contacts::NAME, "contacts");
    outbox.write_json(Some("acme"), r#"{"key": 1, "keyspace": "contacts", "in": [["resource", "contacts"]]}"#);
    follower.until(|progress| progress.applied == 1).await.unwrap();
    assert_eq!(read_all(&contacts, &source).await, ["one 1"]);
    outbox.write_json(Some("acme"), r#"{"namespace": [["resource", "contacts"]]}"#);
    follower.until(|progress| progress.applied == 2).await.unwrap();
    assert_eq!(read_all(&contacts, &source).await.len(), 5 + LISTS.len() + 3);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_data_of_no_tenant_lists_are_forgotten_with_all_the_resource_has() {
    let cache = cache().await;
    let (outbox, follower) = followed(&cache);
    let source = Contacts::new(&ROWS);
    let contacts = Resource::new(&cache.global(), source.clone());
    read_all(&contacts, &source).await;
    written((&outbox, &follower), None, &contacts, Scope::item(&1)).await;
    assert_eq!(read_all(&contacts, &source).await, ["one 1"]);
    let lists = Scope::lists().and(Scope::partition(&"Bonn".to_owned()));
    assert_eq!(contacts.change_targets(&lists).unwrap().len(), 1, "named once");
    written((&outbox, &follower), None, &contacts, lists).await;
    assert_eq!(read_all(&contacts, &source).await.len(), 5 + LISTS.len() + 3);
    cache.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_only_named_where_a_change_can_say_it() {
    let cache = cache().await;
    let (contacts, _) = resource(&cache, "acme", &ROWS);
    let global = Resource::new(&cache.global(), Contacts::new(&ROWS));
    let refused = |contacts: &Resource<Contacts>, tag: Tag| {
        contacts.change_targets(&Scope::tag(tag)).map(|targets| targets.len()).map_err(|error| error.kind())
    };
    assert_eq!(refused(&contacts, Tag::new("t")), Ok(1));
    assert_eq!(refused(&contacts, Tag::global("t")), Err(ErrorKind::InvalidInput));
    assert_eq!(refused(&global, Tag::global("t")), Ok(1));
    assert_eq!(refused(&global, Tag::new("t")), Err(ErrorKind::InvalidInput));
    let mut deep = tenant(&cache, "acme");
    for level in 0..8 {
        deep = deep.namespace(level);
    }
    let deep = Resource::new(&deep, Contacts::new(&ROWS));
    assert!(deep.change_targets(&Scope::everything()).is_err(), "a level too deep");
}
