//! Whatever the key, its object is one file inside the directory, and nothing outside changes.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use common::{called, get, name, put};
use stratacache_core::{
    Deployment, ErrorKind, Key, NamespacePath, TenantId,
    tier::{AnyTier, RemoveMany, Tier, TierParts},
};
use stratacache_object::{Object, PrefixError};

async fn open(path: &Path) -> AnyTier {
    TierParts::from(Object::directory(path).open().await.unwrap()).tier
}

/// Everything below a folder: of links where they lead, of files their bytes.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for each in fs::read_dir(folder).unwrap() {
            let each = each.unwrap();
            let shown = each.path().strip_prefix(root).unwrap().display().to_string();
            let kind = each.file_type().unwrap();
            if kind.is_symlink() {
                found.insert(shown, fs::read_link(each.path()).unwrap().into_os_string().into_encoded_bytes());
            } else if kind.is_dir() {
                found.insert(shown + "/", Vec::new());
                left.push(each.path());
            } else {
                found.insert(shown, fs::read(each.path()).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_key_that_looks_like_a_path_is_one_file_inside_the_directory() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("x"), "outside").unwrap();
    let tier = open(&outer.path().join("store")).await;
    let before = contents(outer.path());
    let deployment = Deployment::new(Deployment::DEFAULT_SECRET);
    let tenant = TenantId::parse("acme").unwrap();
    let long = "k".repeat(4096);
    let keys =
        ["../x", "/x", "a\0b", "%2e%2e%2fx", "..\\x", "caf\u{e9}\u{202e}", "tmp", "CON", ".", "a/b", long.as_str()];
    for (n, text) in keys.into_iter().enumerate() {
        let key = Key::<()>::new(text);
        let at = deployment.name(&tenant, &NamespacePath::default(), key.as_bytes());
        put(&tier, at, text.as_bytes()).await.unwrap();
        assert_eq!(get(&tier, at).await.unwrap().unwrap(), text.as_bytes());
        let mut now = contents(outer.path());
        now.retain(|path, bytes| before.get(path) != Some(bytes));
        assert_eq!(now.len(), n + 1, "{text:?}: one file each");
        for path in now.keys() {
            let called = path.strip_prefix("store/").unwrap();
            assert!(called.len() == 32 && called.bytes().all(|b| b.is_ascii_hexdigit()), "{text:?}: {path}");
            let mode = fs::metadata(outer.path().join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    assert_eq!(fs::metadata(outer.path().join("store")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_planted_link_is_never_followed() {
    let outer = tempfile::tempdir().unwrap();
    let outside = outer.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let store = outer.path().join("store");
    let tier = open(&store).await;
    put(&tier, name(1), b"mine").await.unwrap();
    // a whole object of ours, but outside
    fs::rename(store.join(called(name(1))), outside.join("object")).unwrap();
    fs::create_dir(outside.join("folder")).unwrap();
    let before = contents(&outside);
    for (n, target) in [(1, "object"), (2, "folder"), (3, "nothing")] {
        symlink(outside.join(target), store.join(called(name(n)))).unwrap();
        assert_eq!(get(&tier, name(n)).await, Ok(None), "a link to {target} is not read");
        put(&tier, name(n), b"new").await.unwrap();
        assert_eq!(get(&tier, name(n)).await.unwrap().unwrap(), "new", "a link to {target} gives way");
        fs::remove_file(store.join(called(name(n)))).unwrap();
        symlink(outside.join(target), store.join(called(name(n)))).unwrap();
        tier.remove_many(RemoveMany::new(vec![name(n)])).await.unwrap().remove(0).unwrap();
        assert!(fs::symlink_metadata(store.join(called(name(n)))).is_err(), "a link to {target} is removed itself");
        assert_eq!(contents(&outside), before, "nothing outside changes");
    }
    // a folder and a pipe in the place of an object
    fs::create_dir(store.join(called(name(4)))).unwrap();
    assert_eq!(get(&tier, name(4)).await, Ok(None));
    tier.remove_many(RemoveMany::new(vec![name(4)])).await.unwrap().remove(0).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        store.join(called(name(5))),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(get(&tier, name(5)).await, Ok(None), "a pipe is not waited for");
}

#[tokio::test]
async fn a_directory_that_is_moved_away_and_replaced_by_a_link_is_not_left() {
    let outer = tempfile::tempdir().unwrap();
    let (store, moved, trap) = (outer.path().join("store"), outer.path().join("moved"), outer.path().join("trap"));
    fs::create_dir(&trap).unwrap();
    let tier = open(&store).await;
    fs::rename(&store, &moved).unwrap();
    symlink(&trap, &store).unwrap();
    put(&tier, name(1), b"mine").await.unwrap();
    assert_eq!(contents(&trap).len(), 0);
    assert!(moved.join(called(name(1))).exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_ours_is_refused_by_name() {
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(path("file"), "").unwrap();
    symlink(outer.path(), path("link")).unwrap();
    fs::create_dir(path("trapped")).unwrap();
    symlink(outer.path(), path("trapped").join("tmp")).unwrap();
    for (directory, says) in [
        (path("open"), "everybody may write"),
        (path("file"), "is not a directory"),
        (path("link"), "is a symbolic link"),
        (path("trapped"), "must be a directory"),
        (path("no/such"), "the parent"),
    ] {
        let error = Object::directory(&directory).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{directory:?}");
        assert!(error.to_string().contains(says), "{directory:?}: {error}");
    }
    let error = Object::directory(path("missing")).create_dir(false).open().await.unwrap_err();
    assert!(error.to_string().contains("create_dir(false)"), "{error}");
    assert!(!path("missing").exists());
    let url = format!("file://{}", path("by-url").display());
    Object::open(url).await.unwrap();
    assert!(path("by-url").is_dir());
}

#[tokio::test]
async fn a_prefix_that_leads_elsewhere_is_refused_by_what_is_wrong_with_it() {
    for (prefix, why) in [
        ("../x", PrefixError::Dots),
        ("a//b", PrefixError::EmptyPart),
        ("a\0", PrefixError::Character('\0')),
        ("%2e%2e", PrefixError::Character('%')),
        ("caf\u{e9}", PrefixError::Character('\u{e9}')),
    ] {
        let error = Object::open(format!("s3://bucket/{prefix}")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let source = error.source().and_then(|source| source.downcast_ref::<PrefixError>());
        assert_eq!(source, Some(&why), "{prefix:?}: {error}");
    }
}
