//! Failing devices, made by exchanging the file handle of a segment.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    tier::{PutItem, PutOutcome, TierErrorKind, Want},
};

use super::{Config, Store, record, segment::Segment};

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_owned(),
        create_dir: true,
        capacity: 1 << 20,
        max_entry: 1 << 16,
        max_entries: 1_000,
        durable: false,
        boot_id: Some(b"boot".to_vec()),
    }
}

fn open(dir: &Path) -> Store {
    Store::open(&config(dir)).unwrap()
}

fn name(n: u8) -> EntryName {
    EntryName::from_bytes([n; 16])
}

fn put(store: &Store, n: u8) -> PutOutcome {
    store.put_many(&[PutItem::new(name(n), Bytes::from(vec![n; 100]), u64::MAX, None)]).remove(0)
}

fn get(store: &Store, n: u8) -> Option<Bytes> {
    store.get_many(&[name(n)], Want::Envelope).unwrap().remove(0).envelope
}

/// Every access to the newest segment that the options do not allow fails from now on.
fn exchange(store: &Store, options: &OpenOptions) {
    let mut writer = store.writer.lock();
    let part = writer.parts.last_entry().unwrap().into_mut();
    let old = part.segment.clone();
    part.segment = Arc::new(Segment::new(old.id, options.open(&old.path).unwrap(), old.path.clone()));
    store.segments.write().insert(old.id, part.segment.clone());
}

#[test]
fn writes_to_a_failing_device_fail_as_unavailable_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..10 {
        assert!(matches!(put(&store, n), PutOutcome::Stored));
    }
    exchange(&store, OpenOptions::new().read(true));
    let PutOutcome::Failed(error) = put(&store, 50) else { panic!("it was stored") };
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert_eq!(get(&store, 50), None);
    assert_eq!(get(&store, 3), Some(Bytes::from(vec![3; 100])));
    // the failing segment is left behind: the next write makes another
    assert!(matches!(put(&store, 51), PutOutcome::Stored));
    assert!(get(&store, 51).is_some() && get(&store, 3).is_some());
    drop(store);
    let store = open(dir.path());
    assert!(get(&store, 51).is_some() && get(&store, 3).is_some() && get(&store, 50).is_none());
    store.close().unwrap();
}

#[test]
fn a_removal_that_is_not_on_the_device_says_so_and_is_gone_from_this_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(put(&store, 1), PutOutcome::Stored));
    exchange(&store, OpenOptions::new().read(true));
    let fence = store.fences.get(name(1));
    let error = store.remove_many(&[name(1)]).remove(0).unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert_eq!(get(&store, 1), None);
    assert!(!store.fences.holds(name(1), fence), "its fences are void all the same");
    // the second attempt finds a new segment and is written, though the table knows the name no more
    store.remove_many(&[name(1)]).remove(0).unwrap();
    drop(store);
    assert_eq!(get(&open(dir.path()), 1), None);
}

#[test]
fn a_write_that_failed_but_reached_the_device_does_not_outlive_a_removal() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(put(&store, 1), PutOutcome::Stored));
    exchange(&store, OpenOptions::new().read(true));
    assert!(matches!(put(&store, 2), PutOutcome::Failed(_)));
    // the device had taken it all the same
    let path = store.writer.lock().parts.last_entry().unwrap().get().segment.path.clone();
    let mut record = Vec::new();
    record::encode_entry(&mut record, name(2), u64::MAX, b"late");
    record::encode_entry(&mut record, name(3), u64::MAX, b"late");
    OpenOptions::new().append(true).open(path).unwrap().write_all(&record).unwrap();
    assert_eq!(get(&store, 2), None);
    store.remove_many(&[name(2)]).remove(0).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!((get(&store, 2), get(&store, 3)), (None, None), "nor does one that nobody removed come back");
    assert!(get(&store, 1).is_some());
}

#[test]
fn after_a_removal_that_failed_for_good_a_quarantine_empties_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(put(&store, 1), PutOutcome::Stored));
    exchange(&store, OpenOptions::new().read(true));
    store.remove_many(&[name(1)]).remove(0).unwrap_err();
    store.quarantine().unwrap();
    let before = store.load().incarnation;
    drop(store);
    let store = open(dir.path());
    assert_eq!(get(&store, 1), None);
    assert_ne!(store.load().incarnation, before);
}

#[test]
fn a_read_that_the_device_refuses_is_an_error_unless_other_names_could_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(put(&store, 1), PutOutcome::Stored));
    exchange(&store, OpenOptions::new().write(true));
    let error = store.get_many(&[name(1)], Want::Envelope).unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    let got = store.get_many(&[name(1), name(2)], Want::Envelope).unwrap();
    assert!(got.iter().all(|got| got.envelope.is_none() && got.fence.is_some()));
    exchange(&store, OpenOptions::new().read(true).write(true));
    assert!(get(&store, 1).is_some(), "it was not forgotten");
}

#[test]
fn a_durable_removal_has_everything_before_it_on_the_device_when_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.durable = true;
    let store = Store::open(&config).unwrap();
    let dirty = |store: &Store| {
        let segments = store.writer.lock().all();
        segments.iter().filter(|segment| segment.dirty.load(Ordering::Relaxed)).count()
    };
    for n in 0..250 {
        assert!(matches!(put(&store, n), PutOutcome::Stored));
    }
    assert!(store.segments.read().len() > 1);
    assert_eq!(dirty(&store), 1, "a full segment was synced before the next was begun");
    store.remove_many(&[name(7)]).remove(0).unwrap();
    assert_eq!(dirty(&store), 0);
    store.remove_many(&[name(7)]).remove(0).unwrap();
    assert!(matches!(put(&store, 1), PutOutcome::Stored));
    assert_eq!(dirty(&store), 1, "an entry need not be on the device");
    store.close().unwrap();
}
