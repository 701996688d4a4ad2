//! `wrap`: closures whose results are cached.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::{convert::Infallible, io};

use stratacache::{Keyspace, LoadError, Policy, minutes, seconds};
use support::{Loads, cache, tenant};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));
const NAMES: Keyspace<str, String> = Keyspace::new("names", Policy::ttl(minutes(5)));

#[tokio::test(start_paused = true)]
async fn a_wrapped_closure_loads_once_for_each_argument_and_tenant() {
    let cache = cache().await;
    let loads = Loads::default();
    let wrapped = |name| {
        let (ns, loads) = (tenant(&cache, name), loads.clone());
        ns.wrap(&PAGES, move |page: u32| {
            let loads = loads.clone();
            async move { Ok::<_, Infallible>(format!("{name} {page} {}", loads.next())) }
        })
        .tag("pages")
    };
    let (acme, globex) = (wrapped("acme"), wrapped("globex"));
    for _ in 0..2 {
        assert_eq!(**acme.call(1).await.unwrap(), *"acme 1 1");
        assert_eq!(**acme.clone().call(2).await.unwrap(), *"acme 2 2");
        assert_eq!(**globex.call(1).await.unwrap(), *"globex 1 3");
    }
    tenant(&cache, "acme").invalidate_tag("pages").await.unwrap();
    assert_eq!(**acme.call(1).await.unwrap(), *"acme 1 4");
    assert_eq!(**globex.call(1).await.unwrap(), *"globex 1 3", "another tenant keeps its own");
}

#[tokio::test(start_paused = true)]
async fn options_hold_for_each_call_and_a_call_adds_its_own() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    let of_loads = loads.clone();
    let names = acme
        .wrap(&NAMES, move |name: String| {
            let n = of_loads.next();
            async move { Ok::<_, io::Error>(format!("{name} {n}")) }
        })
        .policy(Policy::ttl(seconds(20)).jitter(0.0));
    let ada = names.call("ada".to_owned()).tag(("name", "ada")).await.unwrap();
    assert_eq!((&**ada, ada.fresh_for()), ("ada 1", seconds(20)));
    let bob = names.call("bob".to_owned()).ttl(seconds(10)).await.unwrap();
    assert_eq!(bob.fresh_for(), seconds(10));
    acme.invalidate_tag(("name", "ada")).await.unwrap();
    assert!(acme.get(names.key("ada")).await.is_none());
    assert!(acme.get(names.key("bob")).await.is_some());
    assert_eq!(**names.refresh("bob".to_owned()).await.unwrap(), *"bob 3");
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_closure_fails_and_panics_as_a_loader_does() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let pages = acme.wrap(&PAGES, |page: u32| async move {
        match page {
            0 => Err(io::Error::other("no page 0")),
            1 => panic!("bug of page 1"),
            page => Ok(page.to_string()),
        }
    });
    match pages.call(0).await {
        Err(LoadError::Loader(error)) => assert_eq!(error.to_string(), "no page 0"),
        other => panic!("{other:?}"),
    }
    match pages.call(1).await {
        Err(LoadError::Panicked(message)) => assert_eq!(&*message, "bug of page 1"),
        other => panic!("{other:?}"),
    }
    assert_eq!(**pages.call(2).await.unwrap(), *"2");
}
