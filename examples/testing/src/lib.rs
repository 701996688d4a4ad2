//! A price list, cached. What is worth a look are its tests, in `tests/`: they show how an application checks that its
//! cache does what it should when loads race with writes, when the data base is down, when a tier hangs, and when there are
//! two nodes.

use std::future::Future;

use stratacache::{Cached, ErrorKind, Keyspace, LoadError, Namespace, Policy, Target, hours, minutes};

/// The price of a product, in cents.
pub const PRICE: Keyspace<str, u32> =
    Keyspace::new("price", Policy::ttl(minutes(5)).jitter(0.0).stale_if_error(hours(1)));

/// All prices: a page of the shop.
pub const PRICES: Keyspace<(), Vec<(String, u32)>> = Keyspace::new("prices", Policy::ttl(minutes(5)).jitter(0.0));

/// What the price list needs of a data base. A trait, so that tests have one that obeys.
pub trait Database: Clone + Send + Sync + 'static {
    /// The error of its driver.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Reads a price, if there is such a product.
    fn price(&self, product: String) -> impl Future<Output = Result<Option<u32>, Self::Error>> + Send;

    /// Reads all prices.
    fn prices(&self) -> impl Future<Output = Result<Vec<(String, u32)>, Self::Error>> + Send;

    /// Sets a price, and commits.
    fn set_price(&self, product: String, cents: u32) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Why a price was not changed, or not everywhere.
#[derive(Debug)]
pub enum SetPriceError<E> {
    /// The data base has the old price.
    Database(E),
    /// The data base has the new price, and it is not known whether the cache has forgotten the old one.
    Forgetting(stratacache::Error),
}

/// The price list of one tenant.
#[derive(Debug, Clone)]
pub struct PriceList<D> {
    tenant: Namespace,
    database: D,
}

impl<D: Database> PriceList<D> {
    /// Makes the price list of a tenant.
    pub fn new(tenant: Namespace, database: D) -> Self {
        Self { tenant, database }
    }

    /// Returns the price of a product, if there is one.
    ///
    /// # Errors
    /// The data base's, when the cache has nothing either.
    pub async fn price(&self, product: &str) -> Result<Option<Cached<u32>>, LoadError<D::Error>> {
        let (database, name) = (self.database.clone(), product.to_owned());
        self.tenant.get_or_load_optional(PRICE.key(product), async move || database.price(name).await).await
    }

    /// Returns all prices.
    ///
    /// # Errors
    /// The data base's.
    pub async fn prices(&self) -> Result<Cached<Vec<(String, u32)>>, LoadError<D::Error>> {
        let database = self.database.clone();
        self.tenant.get_or_load(PRICES.key(&()), async move || database.prices().await).await
    }

    /// Sets a price: first the data base, then the cache forgets that price and the page of all.
    ///
    /// # Errors
    /// [`SetPriceError`]; forgetting is tried three times while the shared tier cannot be reached.
    pub async fn set_price(&self, product: &str, cents: u32) -> Result<(), SetPriceError<D::Error>> {
        self.database.set_price(product.to_owned(), cents).await.map_err(SetPriceError::Database)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let targets = [Target::of(&PRICE.key(product)), Target::of(&PRICES.key(&()))];
            match self.tenant.invalidate(targets).await {
                Ok(_) => return Ok(()),
                Err(error) if tries < 3 && error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(SetPriceError::Forgetting(error)),
            }
        }
    }
}
