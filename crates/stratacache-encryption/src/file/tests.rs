use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use stratacache_core::encryption::KeyId;

use super::*;
use crate::MasterKey;

fn master(byte: u8) -> MasterKey {
    let mut secret = std::array::from_fn(|i| byte.wrapping_add(i as u8));
    MasterKey::take(&mut secret).unwrap()
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

async fn open(path: &Path, byte: u8) -> FileKeys {
    FileKeys::open(path.join("keys"), master(byte)).await.unwrap()
}

fn ids(keys: &DataKeys) -> Vec<KeyId> {
    std::iter::once(&keys.current).chain(&keys.older).map(DataKey::id).collect()
}

/// Everything that the folder holds.
fn contents(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = fs::read_dir(path.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let mut contents: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    contents.sort();
    contents
}

#[tokio::test]
async fn a_tenant_has_the_same_key_in_every_process_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path(), 1).await, open(folder.path(), 1).await);
    let acme = tenant("acme");
    let (first, second) = tokio::join!(one.keys(&acme), other.keys(&acme));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.current.id(), first.current.secret()), (second.current.id(), second.current.secret()));
    let later = open(folder.path(), 1).await.keys(&acme).await.unwrap();
    assert_eq!(later.current.secret(), first.current.secret());
    let neighbour = one.keys(&tenant("Acme")).await.unwrap();
    assert_ne!(neighbour.current.secret(), first.current.secret(), "ids are compared byte for byte");
}

#[tokio::test]
async fn only_the_owner_can_read_the_keys_and_no_secret_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let keys = open(folder.path(), 1).await;
    let secret = *keys.keys(&tenant("acme")).await.unwrap().current.secret();
    keys.keys(&TenantId::global()).await.unwrap();
    assert_eq!(fs::metadata(folder.path().join("keys")).unwrap().mode() & 0o777, 0o700);
    let files = contents(folder.path());
    assert_eq!(files.len(), 3, "two tenants and the lock");
    for (path, bytes) in files {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{path:?}");
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains(&crate::hex::encode(&secret)) && !bytes.windows(32).any(|window| window == secret));
    }
    assert!(!format!("{keys:?}").contains(&crate::hex::encode(&secret)));
}

#[tokio::test]
async fn a_folder_that_others_may_look_into_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    let error = FileKeys::open(&path, master(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("chmod 700"), "{error}");
    let error = FileKeys::open(folder.path().join("missing/keys"), master(1)).await.unwrap_err();
    assert!(error.to_string().contains("cannot be made"), "{error}");
}

#[tokio::test]
async fn a_rotated_key_is_read_with_for_as_long_as_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Wall::default());
    let keys = FileKeys::builder(folder.path().join("keys"), MasterKeys::new(master(1)))
        .keep_rotated(Duration::from_millis(100))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let keys = keys.open().await.unwrap();
    let acme = tenant("acme");
    let first = keys.keys(&acme).await.unwrap().current.id();
    keys.rotate(&acme).await.unwrap();
    let second = keys.keys(&acme).await.unwrap();
    assert_eq!(ids(&second)[1..], [first]);
    clock.advance(100);
    assert_eq!(ids(&keys.keys(&acme).await.unwrap()), ids(&second), "at the end of its time it is still there");
    clock.advance(1);
    assert_eq!(ids(&keys.keys(&acme).await.unwrap()), [second.current.id()]);
    keys.rotate(&acme).await.unwrap();
    let text = String::from_utf8(contents(folder.path())[0].1.clone()).unwrap();
    assert!(!text.contains(&format!("{:016x}", first.0)), "and is gone from the file with the next rotation");
}

#[tokio::test]
async fn a_destroyed_key_is_gone_and_the_next_one_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let keys = open(folder.path(), 1).await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let first = keys.keys(&acme).await.unwrap().current.id();
    let neighbour = keys.keys(&globex).await.unwrap().current.id();
    keys.destroy(&acme).await.unwrap();
    keys.destroy(&acme).await.expect("again is no error");
    assert_eq!(contents(folder.path()).len(), 2, "the other tenant and the lock");
    let next = keys.keys(&acme).await.unwrap();
    assert!(!ids(&next).contains(&first));
    assert_eq!(keys.keys(&globex).await.unwrap().current.id(), neighbour);
}

#[tokio::test]
async fn another_master_key_takes_over_without_changing_a_data_key() {
    let folder = tempfile::tempdir().unwrap();
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let old = open(folder.path(), 1).await;
    let secret = *old.keys(&acme).await.unwrap().current.secret();
    old.rotate(&acme).await.unwrap();
    old.keys(&globex).await.unwrap();
    let error = open(folder.path(), 2).await.keys(&acme).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "the new one alone cannot read them");
    let both = FileKeys::open(folder.path().join("keys"), MasterKeys::new(master(2)).also(master(1))).await.unwrap();
    assert_eq!(both.rewrap().await.unwrap(), 3);
    assert_eq!(both.rewrap().await.unwrap(), 0, "again there is nothing to do");
    let new = open(folder.path(), 2).await;
    assert_eq!(new.keys(&acme).await.unwrap().older[0].secret(), &secret);
    assert!(open(folder.path(), 1).await.keys(&acme).await.is_err(), "the old one is of no use any more");
}

#[tokio::test]
async fn one_damaged_file_does_not_keep_the_others_from_the_new_master_key() {
    let folder = tempfile::tempdir().unwrap();
    let old = open(folder.path(), 1).await;
    for id in ["a", "b", "c"] {
        old.keys(&tenant(id)).await.unwrap();
    }
    let (damaged, _) = contents(folder.path()).remove(1);
    fs::write(&damaged, "{}").unwrap();
    let both = FileKeys::open(folder.path().join("keys"), MasterKeys::new(master(2)).also(master(1))).await.unwrap();
    let error = both.rewrap().await.unwrap_err();
    assert!(error.to_string().contains("tenant b"), "{error}");
    let new = open(folder.path(), 2).await;
    for id in ["a", "c"] {
        new.keys(&tenant(id)).await.unwrap();
    }
    new.destroy(&tenant("b")).await.unwrap();
    new.keys(&tenant("b")).await.expect("a destroyed tenant begins anew");
}

#[tokio::test]
async fn an_older_key_that_cannot_be_unwrapped_does_not_keep_the_current_one_from_its_use() {
    let folder = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    open(folder.path(), 1).await.keys(&acme).await.unwrap();
    open(folder.path(), 2).await.rotate(&acme).await.unwrap();
    let keys = open(folder.path(), 2).await.keys(&acme).await.unwrap();
    assert!(keys.older.is_empty());
    let error = open(folder.path(), 1).await.keys(&acme).await.unwrap_err();
    assert!(error.to_string().contains("acme") && error.to_string().contains("MasterKeys::also"), "{error}");
}

#[test]
fn a_master_key_is_written_whole_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::create_file(&path).unwrap();
    let first = fs::read(&path).unwrap();
    MasterKey::from_file(&path).unwrap();
    let error = MasterKey::create_file(&path).unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(MasterKey::from_file(&path).unwrap_err().to_string().contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "abc").unwrap();
    assert!(MasterKey::from_file(&path).unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[tokio::test]
async fn a_file_of_another_tenant_or_damaged_at_any_byte_gives_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys = open(folder.path(), 1).await;
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let secret = *keys.keys(&acme).await.unwrap().current.secret();
    keys.keys(&globex).await.unwrap();
    let files = contents(folder.path());
    let (path, good) = files[0].clone();
    for (at, flipped) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
        let mut bad = good.clone();
        bad[at] ^= flipped;
        fs::write(&path, &bad).unwrap();
        // white space, and the case of digits, are no damage; nor is the name of a key, which is no secret
        if let Ok(read) = keys.keys(&acme).await {
            assert_eq!(read.current.secret(), &secret, "byte {at}");
        }
    }
    let swapped = String::from_utf8(files[1].1.clone()).unwrap().replace("globex", "acme");
    fs::write(&path, swapped).unwrap();
    let error = keys.keys(&acme).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[derive(Default)]
struct Wall(std::sync::atomic::AtomicU64);

impl Wall {
    fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for Wall {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(std::sync::atomic::Ordering::Relaxed) + 1_000_000)
    }
    fn coarse(&self) -> Duration {
        self.now()
    }
    fn wall(&self) -> Duration {
        self.now()
    }
    fn refresh(&self) {}
}
