//! Warming: reads before traffic, which may load again what is there.

use std::{collections::HashMap, future::IntoFuture, sync::Arc};

use stratacache_core::Key;

use super::{
    CountSource, ListSource, Loading, PageSource, PartitionSource, QuerySource, Resource, Source, Window, keys::Group,
    read::Prepared,
};
use crate::{
    CacheValue, Cached, LoadError,
    engine::{self, BoxedLoad, Door},
    op::{BoxFuture, GetOrLoadMany, Options, load_of_option, load_of_value, load_slowly, options},
};

/// A warm-up of one result: a read that may load again what is there. It returns the value; with `OPTIONAL`, `None` for an item that does
/// not exist. Made by [`Resource::warm_one`] and its relatives.
///
/// # Cancel safety
/// May be dropped at any time: a load that has begun goes on and is stored.
#[must_use = "nothing happens until it is awaited"]
pub struct WarmRead<'a, V: 'static, E, const OPTIONAL: bool = false> {
    door: &'a Arc<Door>,
    key: Key<V>,
    load: BoxedLoad<V, E>,
    options: Options,
    forced: bool,
}

impl<V: 'static, E, const OPTIONAL: bool> WarmRead<'_, V, E, OPTIONAL> {
    /// Loads also what is fresh. No older value stands in for its failure.
    pub fn force(mut self) -> Self {
        self.forced = true;
        self
    }

    options!(policy);
    options!(tags);
    options!(consistency);
    options!(tiers);
}

impl<V: CacheValue, E: Send + Sync + 'static, const OPTIONAL: bool> WarmRead<'_, V, E, OPTIONAL> {
    async fn run(self) -> Result<Option<Cached<V>>, LoadError<E>> {
        let Self { door, key, load, options, forced } = self;
        load_slowly(Arc::clone(door), key, options, engine::Loading::once(load), forced, OPTIONAL, false).await
    }
}

impl<'a, V: CacheValue, E: Send + Sync + 'static> IntoFuture for WarmRead<'a, V, E, true> {
    type Output = Result<Option<Cached<V>>, LoadError<E>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'a, V: CacheValue, E: Send + Sync + 'static> IntoFuture for WarmRead<'a, V, E, false> {
    type Output = Result<Cached<V>, LoadError<E>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.run().await?.ok_or(LoadError::NothingToKeep) })
    }
}

/// A warm-up of several items. Made by [`Resource::warm_many`].
///
/// # Cancel safety
/// As [`WarmRead`].
#[must_use = "nothing happens until it is awaited"]
pub struct WarmMany<'a, S: Source> {
    resource: &'a Resource<S>,
    ids: Vec<S::Id>,
    options: Options,
    forced: bool,
}

impl<S: Source> WarmMany<'_, S> {
    /// Loads also what is fresh.
    pub fn force(mut self) -> Self {
        self.forced = true;
        self
    }

    options!(policy);
    options!(tags);
    options!(consistency);
    options!(tiers);
}

impl<'a, S: Source> IntoFuture for WarmMany<'a, S> {
    type Output = Result<HashMap<S::Id, Cached<S::Item>>, LoadError<S::Error>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { resource, ids, options, forced } = self;
        let load = resource.many_loader();
        GetOrLoadMany::with(resource.door(), Resource::<S>::ITEMS, ids, load, options, forced).into_future()
    }
}

impl<S: Source> Resource<S> {
    /// Warms an item: as [`one`](Self::one), but it can [load again](WarmRead::force) what is there, and is no read in the report of use.
    ///
    /// For many keys at a rate, in the background and with progress, there is [`Namespace::warm`](crate::Namespace::warm), on the
    /// resource's [`namespace`](Self::namespace) with [`ITEMS`](Self::ITEMS).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    pub fn warm_one(&self, id: S::Id) -> WarmRead<'_, S::Item, S::Error, true> {
        let Prepared { key, load, .. } = self.prepare_one(id);
        WarmRead { door: self.door(), key, load: load_of_option(load), options: Options::default(), forced: false }
    }

    /// Warms several items, with one call of the source. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`many`](Self::many).
    pub fn warm_many(&self, ids: impl IntoIterator<Item = S::Id>) -> WarmMany<'_, S> {
        WarmMany { resource: self, ids: ids.into_iter().collect(), options: Options::default(), forced: false }
    }

    fn warm_value<V: CacheValue>(
        &self,
        prepared: Prepared<V, impl FnOnce() -> Loading<V, S::Error> + Send + 'static>,
        options: Options,
    ) -> WarmRead<'_, V, S::Error> {
        let Prepared { key, load, .. } = prepared;
        WarmRead { door: self.door(), key, load: load_of_value(load), options, forced: false }
    }
}

impl<S: PageSource> Resource<S> {
    /// Warms a page. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub fn warm_page(&self, page: S::Page) -> WarmRead<'_, S::Content, S::Error> {
        self.warm_value(self.prepare_page(page), self.tagged(&[Group::Lists]))
    }
}

impl<S: ListSource> Resource<S> {
    /// Warms a part of a list. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn warm_list(&self, filter: S::Filter, window: Window) -> WarmRead<'_, Vec<S::Item>, S::Error> {
        self.warm_value(self.prepare_list(filter, window), self.tagged(&[Group::Lists]))
    }
}

impl<S: CountSource> Resource<S> {
    /// Warms a count. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn warm_count(&self, filter: S::Filter) -> WarmRead<'_, u64, S::Error> {
        self.warm_value(self.prepare_count(filter), self.tagged(&[Group::Lists]))
    }
}

impl<S: QuerySource> Resource<S> {
    /// Warms the answer to a query. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn warm_query(&self, query: S::Query) -> WarmRead<'_, S::Answer, S::Error> {
        self.warm_value(self.prepare_query(query), self.tagged(&[Group::Lists]))
    }
}

impl<S: PartitionSource> Resource<S> {
    /// Warms a partition. As [`warm_one`](Self::warm_one).
    ///
    /// # Errors
    /// As [`partition`](Self::partition).
    pub fn warm_partition(&self, partition: S::Partition) -> WarmRead<'_, Vec<S::Item>, S::Error> {
        let options = self.partition_tags(&partition);
        self.warm_value(self.prepare_partition(partition), options)
    }
}
