//! Copies that were made of real tiers before a tenant was destroyed: an image of a disk, a backup of a bucket.

use std::path::Path;

use stratacache::{Cache, Disk, FileKeys, MasterKey, Object, TenantId};

use crate::{
    kit::{CANARY, ETAG, acme, get, load, policy},
    support::tenant,
};

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Tells whether any file of a folder holds what must not be there.
fn sings(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return sings(&path);
        }
        let bytes = std::fs::read(path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        holds(CANARY) || holds(ETAG)
    })
}

/// A cache of memory, disk and objects whose keys are in files.
async fn open(home: &Path, data: &str) -> Cache {
    let data = home.join(data);
    let master = home.join("master.key");
    if !master.exists() {
        MasterKey::create_file(&master).unwrap();
    }
    let keys = FileKeys::open(home.join("keys"), MasterKey::from_file(master).unwrap()).await.unwrap();
    std::fs::create_dir_all(data.join("objects")).unwrap();
    let disk = Disk::open(data.join("disk")).await.unwrap();
    let object = Object::directory(data.join("objects")).open().await.unwrap();
    let builder = Cache::builder().tier(disk).tier(object).encryption(keys);
    builder.default_policy(policy()).build().await.unwrap()
}

#[tokio::test]
async fn an_image_of_disk_and_objects_from_before_is_unreadable_after_a_tenant_was_destroyed() {
    let home = tempfile::tempdir().unwrap();
    let cache = open(home.path(), "data").await;
    let globex = tenant(&cache, "globex");
    for ns in [&acme(&cache), &globex] {
        load(ns, "k").await;
    }
    cache.close().await.unwrap();
    copy_folder(&home.path().join("data"), &home.path().join("image"));
    copy_folder(&home.path().join("data"), &home.path().join("second image"));
    assert!(!sings(home.path()), "neither the tiers nor the keys hold anything in the clear");

    let before = open(home.path(), "second image").await;
    assert_eq!(
        get(&acme(&before), "k").await.as_deref(),
        Some(CANARY),
        "the image is good as long as the keys are there"
    );
    before.close().await.unwrap();

    let cache = open(home.path(), "data").await;
    acme(&cache).destroy().await.unwrap();
    cache.close().await.unwrap();
    let image = open(home.path(), "image").await;
    assert_eq!(get(&acme(&image), "k").await, None);
    let unread: u64 = image.stats().tiers.iter().map(|tier| tier.unknown_envelopes).sum();
    assert_eq!(unread, 2, "it is there, on disk and as an object, and cannot be read");
    let globex = image.tenant(&TenantId::parse("globex").unwrap());
    assert_eq!(get(&globex, "k").await.as_deref(), Some(CANARY), "the neighbour's is");
    image.close().await.unwrap();
}
