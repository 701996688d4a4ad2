//! What tests of the object tier share.
#![allow(dead_code, unreachable_pub)] // each test program uses a part of it
#![allow(clippy::unwrap_used)] // everything here is a test

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    clock::Millis,
    tier::{AnyTier, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind, TierParts},
};
use stratacache_object::{Object, ObjectBuilder};
use stratacache_testkit::s3::{HttpProxy, S3Server};

/// A time that no clock of a test reaches.
pub const FAR: Millis = 1 << 45;
pub const BUCKET: &str = "bucket";

/// Makes a name that is told from others by its first and its last byte.
pub fn name(n: u8) -> EntryName {
    EntryName::from_bytes(std::array::from_fn(|at| if at % 15 == 0 { n } else { 0x5a }))
}

/// What the object of a name is called.
pub fn called(name: EntryName) -> String {
    name.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sets a tier up on a server that knows the key of [`S3Server`].
pub fn on(url: &str, prefix: &str) -> ObjectBuilder {
    Object::builder(format!("s3://{BUCKET}/{prefix}"))
        .endpoint(url)
        .allow_http(true)
        .access_key(S3Server::ACCESS_KEY, S3Server::SECRET_KEY)
}

/// A server, a proxy before it, and a tier behind both.
pub struct Stage {
    pub server: S3Server,
    pub proxy: HttpProxy,
    pub tier: AnyTier,
}

impl Stage {
    pub async fn new(set: impl FnOnce(ObjectBuilder) -> ObjectBuilder) -> Self {
        let server = S3Server::start(&[BUCKET]).await.unwrap();
        let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
        let object = set(on(&proxy.url(), "cache")).open().await.unwrap();
        proxy.reset_counts();
        Self { server, proxy, tier: TierParts::from(object).tier }
    }

    pub async fn put(&self, name: EntryName, envelope: &[u8]) -> Result<(), TierErrorKind> {
        put(&self.tier, name, envelope).await
    }

    pub async fn get(&self, name: EntryName) -> Result<Option<Bytes>, TierErrorKind> {
        get(&self.tier, name).await
    }

    pub async fn remove(&self, name: EntryName) -> Result<(), TierErrorKind> {
        let removed = self.tier.remove_many(RemoveMany::new(vec![name])).await.map_err(|error| error.kind())?;
        removed.into_iter().next().unwrap().map_err(|error| error.kind())
    }

    /// The bytes of the object of a name, as the server has them.
    pub fn object(&self, name: EntryName) -> Option<Vec<u8>> {
        std::fs::read(self.server.file(BUCKET, &format!("cache/{}", called(name)))).ok()
    }
}

pub async fn put(tier: &impl Tier, name: EntryName, envelope: &[u8]) -> Result<(), TierErrorKind> {
    let item = PutItem::new(name, Bytes::copy_from_slice(envelope), FAR, None);
    let outcomes = tier.put_many(PutMany::new(vec![item])).await.map_err(|error: TierError| error.kind())?;
    match outcomes.into_iter().next().unwrap() {
        PutOutcome::Stored => Ok(()),
        PutOutcome::Failed(error) => Err(error.kind()),
        other => panic!("{other:?}"),
    }
}

pub async fn get(tier: &impl Tier, name: EntryName) -> Result<Option<Bytes>, TierErrorKind> {
    let got = tier.get_many(GetMany::new(vec![name])).await.map_err(|error: TierError| error.kind())?;
    Ok(got.into_iter().next().unwrap().envelope)
}
