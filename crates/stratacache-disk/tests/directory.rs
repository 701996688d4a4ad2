//! Which directories are taken, and who can read them.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use common::{content, open, small};
use stratacache_core::{
    ErrorKind,
    tier::{Tier as _, TierErrorKind},
};
use stratacache_disk::Disk;

#[tokio::test]
async fn a_missing_directory_is_made_for_its_owner_alone_and_so_are_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made");
    let disk = open(small(&path)).await;
    disk.put(1, content(1, 1, 100)).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
        seen += 1;
    }
    assert_eq!(seen, 4, "lock, LIVE, marks and one segment");
    disk.close().await;
}

#[tokio::test]
async fn directories_that_cannot_be_right_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let public = dir.path().join("public");
    std::fs::create_dir(&public).unwrap();
    std::fs::set_permissions(&public, std::fs::Permissions::from_mode(0o777)).unwrap();
    let missing = dir.path().join("missing");
    let orphan = dir.path().join("no-parent").join("child");
    for (builder, path, word) in [
        (small(&link), &link, "symbolic link"),
        (small(&file), &file, "not a directory"),
        (small(&public), &public, "everybody"),
        (small(&missing).create_dir(false), &missing, "create_dir(false)"),
        (small(&orphan), &orphan, "parent"),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(path.to_str().unwrap()), "{text}");
    }
    assert!(!missing.exists() && !orphan.exists());
    assert_eq!(std::fs::read_dir(&real).unwrap().count(), 0, "nothing was made through the link");
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_free_again_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    let error = small(dir.path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("in use") && error.to_string().contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    disk.put(1, content(1, 1, 10)).await;
    disk.close().await;
    let disk = open(small(dir.path())).await;
    assert!(disk.get(1).await.is_some(), "the refused one touched nothing");
    drop(disk);
    open(small(dir.path())).await.close().await;
}

#[tokio::test]
async fn a_symbolic_link_in_the_place_of_a_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in ["lock", "LIVE", "marks.new"] {
        let path = dir.path().join(format!("d-{name}"));
        std::fs::create_dir(&path).unwrap();
        std::os::unix::fs::symlink(&victim, path.join(name)).unwrap();
        match small(&path).open().await {
            Ok(disk) => common::from(disk).close().await,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious", "{name}");
    }
}

#[tokio::test]
async fn other_files_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "1.seg", "zzzzzzzz.seg"] {
        std::fs::write(dir.path().join(name), "mine").unwrap();
    }
    for boot in ["a", "b"] {
        let disk = open(small(dir.path()).boot_id(boot)).await;
        disk.put(1, content(1, 1, 10)).await;
    }
    for name in ["notes.txt", "1.seg", "zzzzzzzz.seg"] {
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"mine");
    }
}

#[tokio::test]
async fn debug_shows_neither_contents_nor_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).await.unwrap();
    assert_eq!(format!("{disk:?}"), "Disk(..)");
    let disk = common::from(disk);
    disk.put(1, content(1, 1, 10)).await;
    let shown = format!("{:?} {:?}", disk.tier, disk.journal);
    assert!(!shown.contains(dir.path().to_str().unwrap()) && shown.len() < 80, "{shown}");
    disk.close().await;
}

#[tokio::test]
async fn after_close_every_operation_says_closed_and_close_can_be_called_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(small(dir.path())).await;
    disk.tier.close().await.unwrap();
    disk.tier.close().await.unwrap();
    let ping = disk.tier.ping().await.unwrap_err();
    let load = disk.journal.load().unwrap_err();
    let tick = disk.journal.tick(1, 0).unwrap_err();
    for error in [ping, load, tick] {
        assert_eq!(error.kind(), TierErrorKind::Closed);
    }
    assert_eq!(disk.tier.used_bytes(), None);
}
