//! What the tests of the price list share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses some of it

use std::ops::Deref;

use stratacache::{Cache, CacheBuilder, TenantId};
use stratacache_testkit::{
    clock::SimulatedClock,
    source::{FakeSource, SourceError},
};
use testing::{Database, PriceList};

/// The data base of these tests.
#[derive(Debug, Clone)]
pub struct Shop(FakeSource<String, u32>);

impl Shop {
    pub fn new() -> Self {
        Self(FakeSource::new([("apple".to_owned(), 300), ("pear".to_owned(), 400)]))
    }
}

impl Deref for Shop {
    type Target = FakeSource<String, u32>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Database for Shop {
    type Error = SourceError;

    async fn price(&self, product: String) -> Result<Option<u32>, SourceError> {
        self.find(product).await
    }

    async fn prices(&self) -> Result<Vec<(String, u32)>, SourceError> {
        self.find_many(vec!["apple".to_owned(), "pear".to_owned()]).await
    }

    async fn set_price(&self, product: String, cents: u32) -> Result<(), SourceError> {
        self.write(product, cents);
        Ok(())
    }
}

/// A cache whose time is tokio's paused time, and whose chance always falls alike.
pub fn builder() -> CacheBuilder {
    Cache::builder().clock(SimulatedClock::new()).seed(42)
}

/// The price list of a tenant.
pub fn list(cache: &Cache, tenant: &str, shop: &Shop) -> PriceList<Shop> {
    PriceList::new(cache.tenant(&TenantId::parse(tenant).unwrap()), shop.clone())
}

/// What a price list says of a product.
pub async fn price(list: &PriceList<Shop>, product: &str) -> Option<u32> {
    list.price(product).await.unwrap().map(|cents| *cents)
}
