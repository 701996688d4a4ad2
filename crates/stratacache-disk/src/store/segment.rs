//! One file of records: a head, records in the order of writing, and when it is full a list of them.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use stratacache_core::{EntryName, clock::Millis, stamp::Incarnation};
use xxhash_rust::xxh3::xxh3_64;

use super::record::{self, Kind, u32_at, u64_at};

/// Bytes before the first record.
pub(crate) const START: u64 = 32;
/// Bytes of a list beyond its items.
pub(crate) const LIST_END: u64 = (record::HEAD + TRAILER) as u64;
/// Bytes of an item of the list.
pub(crate) const LIST_ITEM: u64 = 32;

const MAGIC: [u8; 8] = *b"STRSEG\x00\x01";
const LIST_MAGIC: [u8; 8] = *b"STRLST\x00\x01";
const TRAILER: usize = 24;
const REMOVAL_BIT: u32 = 1 << 31;

/// What a list says about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) removal: bool,
    pub(crate) name: EntryName,
    pub(crate) expires_at: Millis,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u32,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// Written since it was last synced.
    pub(super) dirty: AtomicBool,
}

impl Segment {
    pub(crate) fn new(id: u32, file: File, path: PathBuf) -> Self {
        Self { id, file, path, dirty: AtomicBool::new(false) }
    }

    /// Writes bytes at an offset.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.dirty.store(true, Ordering::Release);
        self.file.write_all_at(bytes, offset)
    }

    /// Has the next sync write everything, since a run before may have left something unsynced.
    pub(crate) fn distrust_device(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Brings what was written onto the device.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.dirty.swap(false, Ordering::AcqRel) {
            // a failed sync says nothing about what is on the device: it stays dirty, so that the next one fails too
            self.file.sync_data().inspect_err(|_| self.dirty.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    /// Overwrites the kind of a record in place, which needs no room on the device.
    pub(crate) fn kill(&self, offset: u32) -> io::Result<()> {
        self.write(&[record::DEAD], u64::from(offset))
    }

    /// Reads a whole record.
    pub(crate) fn read(&self, offset: u32, len: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; record::HEAD + len as usize];
        self.file.read_exact_at(&mut bytes, u64::from(offset))?;
        Ok(bytes)
    }
}

/// Reads a whole record if that needs no wait for the device.
#[cfg(target_os = "linux")]
pub(crate) fn read_now(segment: &Segment, offset: u32, len: u32) -> Option<Vec<u8>> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut bytes = vec![0; record::HEAD + len as usize];
    let read = preadv2(
        &segment.file,
        &mut [io::IoSliceMut::new(&mut bytes)],
        offset.into(),
        // whatever is not in the page cache, and a file system that cannot tell, is an error
        ReadWriteFlags::NOWAIT,
    );
    (read == Ok(bytes.len())).then_some(bytes)
}

/// Reads a whole record if that needs no wait for the device; here nothing tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_now(_: &Segment, _: u32, _: u32) -> Option<Vec<u8>> {
    None
}

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) incarnation: Incarnation,
    /// Where the records of the segment before ended when this one was begun; what lies behind was taken back.
    pub(crate) before: u64,
}

impl Start {
    pub(crate) fn encode(self) -> [u8; START as usize] {
        let mut start = [0; START as usize];
        start[..8].copy_from_slice(&MAGIC);
        start[8..16].copy_from_slice(&self.incarnation.0.to_le_bytes());
        start[16..24].copy_from_slice(&self.before.to_le_bytes());
        let check = xxh3_64(&start[..24]);
        start[24..].copy_from_slice(&check.to_le_bytes());
        start
    }

    /// Reads it; `None` when these are not the first bytes of a segment.
    pub(crate) fn decode(bytes: &[u8; START as usize]) -> Option<Self> {
        let sound = bytes[..8] == MAGIC && xxh3_64(&bytes[..24]) == u64_at(bytes, 24);
        sound.then(|| Self { incarnation: Incarnation(u64_at(bytes, 8)), before: u64_at(bytes, 16) })
    }
}

/// Returns the list that ends a full segment: a record of its own, so that one that was cut off is known for what it is.
pub(crate) fn encode_list(items: &[Item], end: u64) -> Vec<u8> {
    let mut list = Vec::with_capacity(items.len() * LIST_ITEM as usize + TRAILER);
    for item in items {
        list.extend_from_slice(&item.offset.to_le_bytes());
        list.extend_from_slice(&(item.len | if item.removal { REMOVAL_BIT } else { 0 }).to_le_bytes());
        list.extend_from_slice(&item.name.to_bytes());
        list.extend_from_slice(&item.expires_at.to_le_bytes());
    }
    // found from the end of the file
    list.extend_from_slice(&(end as u32).to_le_bytes());
    list.extend_from_slice(&(items.len() as u32).to_le_bytes());
    let check = xxh3_64(&list);
    list.extend_from_slice(&check.to_le_bytes());
    list.extend_from_slice(&LIST_MAGIC);
    let mut out = Vec::with_capacity(record::HEAD + list.len());
    record::encode_list(&mut out, &list);
    out
}

/// Reads the list at the end of a segment; `None` when there is none that can be trusted.
///
/// Also returns where the records end.
pub(crate) fn read_list(file: &File, length: u64) -> io::Result<Option<(Vec<Item>, u64)>> {
    if length < START + LIST_END {
        return Ok(None);
    }
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, length - TRAILER as u64)?;
    let (end, count) = (u64::from(u32_at(&trailer, 0)), u64::from(u32_at(&trailer, 4)));
    if trailer[16..] != LIST_MAGIC || end < START || end + count * LIST_ITEM + LIST_END != length {
        return Ok(None);
    }
    let mut bytes = vec![0; (count * LIST_ITEM) as usize + 8];
    file.read_exact_at(&mut bytes, end + record::HEAD as u64)?;
    if xxh3_64(&bytes) != u64_at(&trailer, 8) {
        return Ok(None);
    }
    let items = bytes[..(count * LIST_ITEM) as usize].chunks_exact(LIST_ITEM as usize).map(|item| {
        let mut name = [0; 16];
        name.copy_from_slice(&item[8..24]);
        let len = u32_at(item, 4);
        Item {
            offset: u32_at(item, 0),
            len: len & !REMOVAL_BIT,
            removal: len & REMOVAL_BIT != 0,
            name: EntryName::from_bytes(name),
            expires_at: u64_at(item, 24),
        }
    });
    Ok(Some((items.collect(), end)))
}

/// What walking the records of a segment found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) items: Vec<Item>,
    /// Where the last whole record ends.
    pub(crate) end: u64,
    /// Whether what follows is something else than a write that was cut off.
    pub(crate) damaged: bool,
}

/// Walks the records of a segment that has no list, checking every one.
///
/// A record whose envelope is damaged counts as removed; a damaged head ends the walk, since nothing says where the next
/// record begins.
pub(crate) fn scan(file: &File, length: u64) -> io::Result<Scan> {
    let mut scan = Scan { items: Vec::new(), end: START.min(length), damaged: false };
    let mut bytes = Vec::new();
    while scan.end + record::HEAD as u64 <= length {
        bytes.resize(record::HEAD, 0);
        file.read_exact_at(&mut bytes, scan.end)?;
        let Some(head) = record::decode_head(&bytes) else {
            scan.damaged = true;
            return Ok(scan);
        };
        if head.kind == Kind::List || scan.end + head.size() > length {
            return Ok(scan);
        }
        bytes.resize(head.len as usize, 0);
        file.read_exact_at(&mut bytes, scan.end + record::HEAD as u64)?;
        let alive = head.kind == Kind::Entry && head.proves(&bytes);
        scan.items.push(Item {
            offset: scan.end as u32,
            len: head.len,
            removal: !alive,
            name: head.name,
            expires_at: head.expires_at,
        });
        scan.end += head.size();
    }
    Ok(scan)
}
