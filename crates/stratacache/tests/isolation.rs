//! Isolation: a tenant's data cannot be named, read or invalidated through another tenant's handle.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::convert::Infallible;

use stratacache::{ErrorKind, Lookup, Namespace, TenantId};
use stratacache_testkit::tiers::MemoryTier;
use support::{builder, cache, settle, tenant};

#[tokio::test]
async fn namespaces_and_keys_that_look_alike_are_all_different() {
    let cache = cache().await;
    let t = tenant(&cache, "t");
    let doors: Vec<(Namespace, Vec<stratacache::Key<u32>>)> = vec![
        (t.clone(), keys(&["a:b", "a.b", "a/b", "user", "users_archive", "", "\0", "🦀", "a\nb"])),
        (t.clone(), vec![stratacache::Key::new(("a", "b")), stratacache::Key::new(("a", ("b", "c")))]),
        (t.namespace("a"), vec![stratacache::Key::new(("b", "c")), stratacache::Key::new("b")]),
        (t.namespace(("a", "b")), keys(&["c"])),
        (t.namespace("a").namespace("b"), keys(&["c"])),
        (t.namespace("a:b"), keys(&["c"])),
        (t.namespace("user"), keys(&["k"])),
        (t.namespace("users_archive"), keys(&["k"])),
        (tenant(&cache, "tenant-1"), keys(&["k"])),
        (tenant(&cache, "tenant-10"), keys(&["k"])),
        (cache.global(), keys(&["k"])),
    ];
    let all: Vec<_> = doors.iter().flat_map(|(ns, keys)| keys.iter().map(move |k| (ns, k))).collect();
    for (n, (ns, key)) in all.iter().enumerate() {
        ns.insert(*key, n as u32).await.unwrap();
    }
    for (n, (ns, key)) in all.iter().enumerate() {
        assert_eq!(*ns.get(*key).await.unwrap(), n as u32);
    }
}

fn keys(texts: &[&str]) -> Vec<stratacache::Key<u32>> {
    texts.iter().map(|t| stratacache::Key::new(*t)).collect()
}

#[tokio::test]
async fn clearing_one_leaves_those_that_look_alike() {
    let cache = cache().await;
    let t = tenant(&cache, "t");
    let spaces = [
        t.namespace("a"),
        t.namespace("a").namespace("b"),
        t.namespace(("a", "b")),
        t.namespace("user"),
        t.namespace("users_archive"),
        t.clone(),
    ];
    let others = [tenant(&cache, "t-1"), tenant(&cache, "t-10"), cache.global()];
    let fill = async || {
        for ns in spaces.iter().chain(&others) {
            ns.insert("k", 1_u32).await.unwrap();
        }
    };
    let there = async |ns: &Namespace| ns.get::<u32>("k").await.is_some();
    fill().await;
    spaces[0].clear().await.unwrap();
    assert!(!there(&spaces[0]).await && !there(&spaces[1]).await, "the namespace and what is nested in it");
    for ns in spaces[2..].iter().chain(&others) {
        assert!(there(ns).await);
    }
    fill().await;
    others[0].clear().await.unwrap();
    assert!(!there(&others[0]).await);
    for ns in spaces.iter().chain(&others[1..]) {
        assert!(there(ns).await);
    }
    t.clear().await.unwrap();
    for ns in &spaces {
        assert!(!there(ns).await, "the whole tenant");
    }
    assert!(there(&others[1]).await && there(&others[2]).await);
}

#[tokio::test]
async fn any_bytes_are_a_key_and_forms_of_a_word_differ() {
    let cache = cache().await;
    let t = tenant(&cache, "t");
    let odd: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0, 0],
        b"*".to_vec(),
        b"?".to_vec(),
        b"[a-z]".to_vec(),
        b"\\".to_vec(),
        b"..".to_vec(),
        "e\u{301}".into(),
        "\u{e9}".into(),
        "🦀".into(),
        vec![255; 100],
        vec![b'x'; 64 * 1024],
        vec![b'y'; 64 * 1024],
    ];
    for (n, key) in odd.iter().enumerate() {
        t.insert(key, n).await.unwrap();
    }
    for (n, key) in odd.iter().enumerate() {
        assert_eq!(*t.get::<usize>(key).await.unwrap(), n);
    }
    let error = t.insert(vec![b'z'; 65 * 1024 + 100], 1_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("64 KiB"));
    assert!(t.get::<u32>(vec![b'z'; 65 * 1024 + 100]).await.is_none());
    t.invalidate("*").await.unwrap();
    assert!(t.get::<usize>(b"[a-z]".to_vec()).await.is_some(), "a star means nothing");
}

#[tokio::test]
async fn the_same_tag_in_two_tenants_is_two_tags() {
    let cache = cache().await;
    let (a, b) = (tenant(&cache, "tenant-1"), tenant(&cache, "tenant-10"));
    for ns in [&a, &b] {
        ns.namespace("deep").namespace("er").insert("k", 1_u32).tag("contacts").await.unwrap();
        ns.insert("k", 1_u32).tag("contacts").await.unwrap();
    }
    a.namespace("elsewhere").invalidate_tag("contacts").await.unwrap();
    assert!(a.get::<u32>("k").await.is_none(), "from a nested namespace it reaches the whole tenant");
    assert!(a.namespace("deep").namespace("er").get::<u32>("k").await.is_none());
    assert!(b.get::<u32>("k").await.is_some() && b.namespace("deep").namespace("er").get::<u32>("k").await.is_some());
}

#[tokio::test]
async fn concurrent_loads_of_the_same_key_in_two_tenants_never_meet() {
    let cache = cache().await;
    let readers: Vec<_> = (0..200)
        .map(|n| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let id = TenantId::from(n % 20);
                let ns = cache.tenant(&id);
                let seen = ns
                    .get_or_load("me", async move || {
                        tokio::task::yield_now().await;
                        Ok::<_, Infallible>(id.to_string())
                    })
                    .await
                    .unwrap();
                (n % 20, seen.clone())
            })
        })
        .collect();
    for reader in readers {
        let (n, seen) = reader.await.unwrap();
        assert_eq!(*seen, n.to_string());
    }
}

#[tokio::test]
async fn an_envelope_copied_over_another_key_namespace_or_tenant_is_never_served() {
    let disk = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    let doors = || {
        let mut doors = Vec::new();
        for t in ["a", "b"] {
            let t = tenant(&cache, t);
            doors.extend([t.clone(), t.namespace("x"), t.namespace("y")]);
        }
        doors
    };
    for (d, ns) in doors().iter().enumerate() {
        for k in 0..4_usize {
            ns.insert(k, d * 10 + k).await.unwrap();
        }
    }
    settle().await;
    let names = disk.names();
    assert_eq!(names.len(), 24);
    cache.close().await.unwrap();
    let whole: Vec<_> = names.iter().map(|n| disk.raw(*n).unwrap()).collect();
    for shift in 1..24 {
        for (i, name) in names.iter().enumerate() {
            disk.put_raw(*name, whole[(i + shift) % 24].clone());
        }
        let cache = builder().tier(disk.with_journal()).build().await.unwrap();
        for t in ["a", "b"] {
            let t = tenant(&cache, t);
            for ns in [t.clone(), t.namespace("x"), t.namespace("y")] {
                for k in 0..4_usize {
                    assert_eq!(ns.lookup::<usize>(k).await, Lookup::Miss, "shift {shift}");
                }
            }
        }
        assert_eq!(cache.stats().tiers[1].foreign_envelopes, 24, "shift {shift}");
        cache.close().await.unwrap();
    }
}

#[tokio::test]
async fn another_deployment_secret_finds_nothing() {
    let disk = MemoryTier::new("disk").persistent(true);
    let cache = builder().tier(disk.with_journal()).build().await.unwrap();
    tenant(&cache, "a").insert("k", 1_u32).await.unwrap();
    cache.close().await.unwrap();
    let cache = builder().tier(disk.with_journal()).deployment_secret([9; 16]).build().await.unwrap();
    assert!(tenant(&cache, "a").get::<u32>("k").await.is_none());
}

#[tokio::test]
async fn namespaces_deeper_than_allowed_refuse_every_operation_by_the_name_of_the_knob() {
    let cache = cache().await;
    let mut ns = tenant(&cache, "t");
    for level in 0..9_u32 {
        ns = ns.namespace(level);
    }
    assert!(ns.check().unwrap_err().to_string().contains("max_namespace_depth"));
    assert!(ns.insert("k", 1_u32).await.is_err());
    assert!(ns.invalidate("k").await.is_err() && ns.clear().await.is_err() && ns.expire("k").await.is_err());
    assert!(ns.get::<u32>("k").await.is_none());
    let error = ns.get_or_load("k", async || Ok::<u32, Infallible>(1)).await.unwrap_err();
    assert!(error.to_string().contains("max_namespace_depth"));
}

#[tokio::test]
async fn a_stamp_of_another_tenant_is_refused_and_changes_nothing() {
    let cache = cache().await;
    let (a, b) = (tenant(&cache, "a"), tenant(&cache, "b"));
    for n in 0..50_u32 {
        a.insert(n, n).await.unwrap(); // its order runs ahead of the other's
    }
    let foreign = a.stamp();
    b.insert("k", 1_u32).await.unwrap();
    let error = b.insert("k", 2_u32).stamped(foreign).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("stamp"), "{error}");
    let many = b.insert_many([("k", 2_u32), ("l", 2)]).stamped(foreign).await.unwrap_err();
    assert_eq!(many.kind(), ErrorKind::InvalidInput, "{many}");
    assert_eq!(b.get::<u32>("k").await.as_deref(), Some(&1), "what was there still is");
    assert!(b.get::<u32>("l").await.is_none());
    let own = b.namespace("other").stamp();
    assert!(!b.insert("k", 3_u32).stamped(own).await.unwrap().is_superseded(), "of any namespace of the tenant");
    assert_eq!(b.get::<u32>("k").await.as_deref(), Some(&3));
}
