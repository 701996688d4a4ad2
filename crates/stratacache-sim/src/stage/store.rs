//! The object store of a run, with a proxy before it for each node, and small devices for their disks.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use stratacache_testkit::{
    device::SmallDevice,
    s3::{HttpProxy, S3Server},
};

use crate::{
    node::{BUCKET, PREFIX},
    report::say,
};

/// The disk and its journal need less; the rest is taken when it is to be full.
const DEVICE: u64 = 24 << 20;

/// What stands below the server, and beside it.
pub(crate) struct Store {
    server: S3Server,
    proxies: Vec<HttpProxy>,
    /// By node, but for the first, which has no disk; none where this process may not mount.
    devices: Vec<Option<SmallDevice>>,
}

/// Objects as they once were.
pub(crate) struct Backup(BTreeMap<PathBuf, Vec<u8>>);

impl Store {
    pub(super) async fn start(nodes: u32, seed: u64) -> Result<Self> {
        let server = S3Server::start(&[BUCKET]).await.context("starting the object store")?;
        let (mut proxies, mut devices) = (Vec::new(), Vec::new());
        for node in 0..nodes {
            let seed = seed ^ u64::from(node) << 32;
            proxies.push(HttpProxy::start(server.addr(), seed).await.context("starting a proxy of the store")?);
            let mounted = if node == 0 { None } else { Some(SmallDevice::mount(DEVICE)) };
            if let (1, Some(Err(error))) = (node, &mounted) {
                say(&format!("full disks are pretended, since no small one can be mounted: {error}"));
            }
            devices.push(mounted.and_then(Result::ok));
        }
        Ok(Self { server, proxies, devices })
    }

    pub(crate) fn proxies(&self) -> &[HttpProxy] {
        &self.proxies
    }

    /// Returns the device of a node's disk.
    pub(crate) fn device(&self, node: u32) -> Option<&SmallDevice> {
        self.devices[node as usize].as_ref()
    }

    /// Returns to how many requests something was done.
    pub(crate) fn hit(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.hit() as u64).sum()
    }

    /// Ends what is done to requests; what hangs is cut.
    pub(crate) fn heal(&self) {
        for proxy in &self.proxies {
            proxy.heal();
            proxy.cut();
        }
    }

    /// Copies every object of an entry.
    pub(crate) fn copy(&self) -> io::Result<Backup> {
        let mut objects = BTreeMap::new();
        for key in self.server.keys(BUCKET)?.into_iter().filter(|key| is_entry(key)) {
            let path = self.server.file(BUCKET, &key);
            match fs::read(&path) {
                Ok(bytes) => drop(objects.insert(path, bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // removed meanwhile
                Err(error) => return Err(error),
            }
        }
        Ok(Backup(objects))
    }

    /// Puts the objects back that are gone, or not as they were. Returns how many.
    pub(crate) fn put_back(&self, backup: &Backup) -> io::Result<u64> {
        let (mut count, aside) = (0, self.server.file(BUCKET, "put-back"));
        for (path, bytes) in &backup.0 {
            if !is_as_it_was(path, bytes) {
                fs::write(&aside, bytes)?;
                fs::rename(&aside, path)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn is_as_it_was(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).is_ok_and(|now| now == bytes)
}

/// Tells an entry from what the server and probes leave there.
fn is_entry(key: &str) -> bool {
    let name = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
