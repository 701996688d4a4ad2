//! The file of hot keys: what is in it, and how it is written.
//!
//! `STRATAHK`, version (1), when it was written (8), then for each tenant its id, whether its keys are sealed, and they; at the end a
//! keyed hash of everything before (16), so that a file which is damaged, or of another deployment, is known as such. Lengths are
//! of 4 bytes, little-endian.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

use bytes::Bytes;
use stratacache_core::{Deployment, NamespacePath, TenantId, clock::Millis};

use super::HotGroup;

const MAGIC: &[u8; 8] = b"STRATAHK";
const VERSION: u8 = 1;
/// Bytes of the hash at the end.
const HASH: usize = 16;
/// A longer file is not read: as many keys as there can be, each as long as it can be, would be more, but not of any use.
const LONGEST_FILE: u64 = 256 << 20;

/// The keys of one tenant as they lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) tenant: TenantId,
    pub(super) sealed: bool,
    pub(super) keys: Bytes,
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // no part is longer than a file
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Takes what [`put`] wrote.
fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *from = rest;
    Some(bytes)
}

/// Writes the keys of a tenant.
pub(super) fn encode_groups(groups: &[HotGroup]) -> Vec<u8> {
    let mut out = Vec::new();
    for HotGroup { path, keys } in groups {
        let (mut levels, mut all) = (Vec::new(), Vec::new());
        path.levels().for_each(|level| put(&mut levels, level));
        keys.iter().for_each(|key| put(&mut all, key));
        put(&mut out, &levels);
        put(&mut out, &all);
    }
    out
}

/// Reads the keys of a tenant; namespaces that are deeper than allowed now are left out.
pub(super) fn decode_groups(mut from: &[u8], max_depth: usize) -> Option<Vec<HotGroup>> {
    let mut groups = Vec::new();
    while !from.is_empty() {
        let (mut levels, mut all) = (take(&mut from)?, take(&mut from)?);
        let mut path = Some(NamespacePath::default());
        while !levels.is_empty() {
            let level = take(&mut levels)?;
            path = path.and_then(|path| path.child_encoded(level, max_depth).ok());
        }
        let mut keys = Vec::new();
        while !all.is_empty() {
            keys.push(take(&mut all)?.to_vec());
        }
        groups.extend(path.map(|path| HotGroup { path, keys }));
    }
    Some(groups)
}

/// Returns the hash that ends a file.
fn hash(deployment: &Deployment, body: &[u8]) -> [u8; HASH] {
    deployment.check(&TenantId::global(), &NamespacePath::default(), body).to_bytes()
}

/// Writes a whole file.
pub(super) fn encode(deployment: &Deployment, written: Millis, sections: &[Section]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&written.to_le_bytes());
    for Section { tenant, sealed, keys } in sections {
        put(&mut out, tenant.as_str().as_bytes());
        out.push(u8::from(*sealed));
        put(&mut out, keys);
    }
    let hash = hash(deployment, &out);
    out.extend_from_slice(&hash);
    out
}

/// Reads a whole file: when it was written, and what is in it.
///
/// # Errors
/// Why it is of no use.
pub(super) fn decode(deployment: &Deployment, file: &Bytes) -> Result<(Millis, Vec<Section>), &'static str> {
    let rest = file.strip_prefix(MAGIC).ok_or("no file of hot keys")?;
    let (version, rest) = rest.split_first().ok_or("cut off")?;
    if *version != VERSION {
        return Err("of another release");
    }
    let (body, end) = file.split_last_chunk::<HASH>().ok_or("cut off")?;
    if *end != hash(deployment, body) {
        return Err("damaged, or of another deployment");
    }
    let (written, rest) = rest.split_first_chunk().ok_or("cut off")?;
    let mut rest = &rest[..rest.len().saturating_sub(HASH)];
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let section = section(&mut rest, file).ok_or("damaged")?;
        sections.push(section);
    }
    Ok((Millis::from_le_bytes(*written), sections))
}

fn section(rest: &mut &[u8], file: &Bytes) -> Option<Section> {
    let name = std::str::from_utf8(take(rest)?).ok()?;
    let tenant = match TenantId::global() {
        global if global.as_str() == name => global,
        _ => TenantId::parse(name).ok()?,
    };
    let (sealed, after) = rest.split_first()?;
    *rest = after;
    Some(Section { tenant, sealed: *sealed == 1, keys: file.slice_ref(take(rest)?) })
}

/// Puts a file in the place of what is there, whole or not at all. Nobody else can read it.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    // left by a process that was killed
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(beside)?;
    let written = file.write_all(contents).and_then(|()| file.sync_all()).and_then(|()| fs::rename(beside, path));
    if written.is_err() {
        // of no use any more; the error that matters is the first
        let _ = fs::remove_file(beside);
    }
    written
}

/// Reads a file, if there is one.
pub(super) fn read(path: &Path) -> io::Result<Option<Bytes>> {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about?,
    };
    // a pipe would never end
    if !about.is_file() || about.len() > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no file, or too large"));
    }
    let mut contents = Vec::new();
    fs::File::open(path)?.take(LONGEST_FILE).read_to_end(&mut contents)?;
    Ok(Some(contents.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Deployment = Deployment::new([7; 16]);

    fn groups() -> Vec<HotGroup> {
        let root = NamespacePath::default();
        let deep = root.child("a", 8).unwrap().child(&("b", 1), 8).unwrap();
        vec![
            HotGroup { path: root, keys: vec![b"k1".to_vec(), Vec::new()] },
            HotGroup { path: deep, keys: vec![vec![9; 300]] },
        ]
    }

    fn sections() -> Vec<Section> {
        let keys = Bytes::from(encode_groups(&groups()));
        let section = |tenant, sealed| Section { tenant, sealed, keys: keys.clone() };
        vec![section(TenantId::global(), false), section(TenantId::parse("acme").unwrap(), true)]
    }

    #[test]
    fn what_is_written_is_read() {
        let file = encode(&DEPLOYMENT, 1_234, &sections()).into();
        assert_eq!(decode(&DEPLOYMENT, &file), Ok((1_234, sections())));
        assert_eq!(decode_groups(&encode_groups(&groups()), 8), Some(groups()));
    }

    #[test]
    fn every_damaged_byte_is_noticed_and_so_is_another_deployment() {
        let file = encode(&DEPLOYMENT, 1_234, &sections());
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert!(decode(&DEPLOYMENT, &damaged.into()).is_err(), "{at}");
            assert!(decode(&DEPLOYMENT, &file[..at].to_vec().into()).is_err(), "{at}");
        }
        let other = Deployment::new([8; 16]);
        assert_eq!(decode(&other, &file.into()), Err("damaged, or of another deployment"));
    }

    #[test]
    fn groups_that_are_cut_off_are_none_and_deep_namespaces_are_left_out() {
        let whole = encode_groups(&groups());
        let ends: Vec<_> = (0..whole.len()).filter(|end| decode_groups(&whole[..*end], 8).is_some()).collect();
        assert_eq!(ends.len(), 2, "nothing, or the first group: {ends:?}");
        assert_eq!(decode_groups(&whole, 1), Some(vec![groups().remove(0)]));
    }
}
