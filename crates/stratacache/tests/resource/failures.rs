//! Sources that fail to write, and what is certain then.

use stratacache::{ErrorKind, event::EventKind, resource::WriteError};

use crate::{
    kit::{ROWS, Writing, contact, read_all, resource},
    support::{builder, cache},
};

#[tokio::test(start_paused = true)]
async fn a_source_that_wrote_nothing_forgets_nothing() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    read_all(&contacts, &source).await;
    source.writing(Writing::Refuses);
    let error = contacts.save(contact(1, "Bonn", "new")).await.unwrap_err();
    assert!(!error.is_written());
    assert_eq!(error.source_error().map(String::as_str), Some("refused"));
    assert!(error.to_string().contains("the source failed: refused"), "{error}");
    assert!(read_all(&contacts, &source).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_or_panic_that_may_have_written_everything_of_the_resource_is_forgotten() {
    for writing in [Writing::Breaks, Writing::Panics] {
        let cache = cache().await;
        let (contacts, source) = resource(&cache, "acme", &ROWS);
        let (globex, of_globex) = resource(&cache, "globex", &ROWS);
        read_all(&contacts, &source).await;
        read_all(&globex, &of_globex).await;
        source.writing(writing);
        let error = contacts.save(contact(1, "Bonn", "new")).await.unwrap_err();
        match (writing, &error) {
            (Writing::Breaks, WriteError::Source(error)) => assert_eq!(error, "broken"),
            (Writing::Panics, WriteError::Panicked(message)) => assert_eq!(&**message, "a bug of the source"),
            other => panic!("{other:?}"),
        }
        assert_eq!(contacts.one(1).await.unwrap().unwrap().name, "new", "{writing:?}: it was written");
        source.asked();
        assert_eq!(read_all(&contacts, &source).await.len(), 11, "{writing:?}");
        assert!(read_all(&globex, &of_globex).await.is_empty(), "another tenant");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_over_the_quota_of_invalidations_is_refused_before_anything_is_written() {
    let cache = builder().invalidations_per_s(1).build().await.unwrap();
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let mut refused = None;
    for _ in 0..10 {
        let name = source.row(1).unwrap().name;
        if let Err(error) = contacts.save(contact(1, "Bonn", "new")).await {
            refused = Some((error, name));
            break;
        }
    }
    match refused {
        Some((WriteError::Refused(error), _)) => assert_eq!(error.kind(), ErrorKind::Overloaded),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_nested_too_deeply_refuses_every_operation() {
    let cache = cache().await;
    let mut ns = crate::support::tenant(&cache, "acme");
    for level in 0..8 {
        ns = ns.namespace(level);
    }
    let source = crate::kit::Contacts::new(&ROWS);
    let contacts = stratacache::Resource::new(&ns, source.clone());
    assert!(contacts.one(1).await.is_err());
    assert!(matches!(contacts.save(contact(1, "Bonn", "new")).await, Err(WriteError::Refused(_))));
    assert!(contacts.clear().await.is_err());
    assert_eq!(source.row(1).unwrap().name, "old");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_one_invalidation() {
    let cache = cache().await;
    let (contacts, _source) = resource(&cache, "acme", &ROWS);
    let mut events = cache.events();
    contacts.save(contact(1, "Ulm", "new")).await.unwrap();
    let mut scopes = Vec::new();
    while let Ok(Some(Ok(event))) = tokio::time::timeout(stratacache::millis(1), events.next()).await {
        if let EventKind::Invalidated { scopes: count, .. } = event.kind {
            scopes.push(count);
        }
    }
    // the item, the lists, two partitions, two tags
    assert_eq!(scopes, [6]);
}
