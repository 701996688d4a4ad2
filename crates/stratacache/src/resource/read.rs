//! Reading: the operations of the namespace, with the key, the tags and the loader of each kind.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use stratacache_core::Key;

use super::{
    CountSource, ListSource, PageSource, PartitionSource, QuerySource, Resource, Source, Window,
    keys::Group,
    usage::{KeyId, Kind, Usage},
};
use crate::{
    engine::Door,
    op::{GetOrLoad, GetOrLoadMany, GetOrLoadOptional, Options},
};

/// A load under way, as the loaders of a resource return it.
pub type Loading<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// A result that can be read: its key, its place in the report of use, and its loader.
pub(super) struct Prepared<V: 'static, L> {
    pub(super) key: Key<V>,
    id: KeyId,
    pub(super) load: L,
}

/// Counts the calls of the source for one kind.
struct Calls {
    usage: Usage,
    door: Arc<Door>,
    kind: Kind,
    ttl: Duration,
}

impl Calls {
    /// Runs one call that is to bring these results.
    async fn run<T, E>(&self, keys: &[KeyId], call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let timeline = &self.door.engine.timeline;
        let began = timeline.clock().now();
        let result = call.await;
        let took = timeline.clock().now().saturating_sub(began);
        self.usage.called(self.kind, keys.len(), took, self.ttl, result.is_err());
        for key in keys {
            self.usage.loaded(self.kind, *key, timeline.now(), self.ttl);
        }
        result
    }
}

impl<S: Source> Resource<S> {
    fn calls(&self, kind: Kind, ttl: Duration) -> Calls {
        Calls { usage: self.usage.clone(), door: Arc::clone(self.door()), kind, ttl }
    }

    /// Makes the loader of one result.
    fn loader<T, L, Fut>(
        &self,
        calls: Calls,
        id: KeyId,
        load: L,
    ) -> impl FnOnce() -> Loading<T, S::Error> + Send + 'static + use<S, T, L, Fut>
    where
        L: FnOnce(Arc<S>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, S::Error>> + Send + 'static,
    {
        let source = Arc::clone(&self.source);
        move || Box::pin(async move { calls.run(&[id], load(source)).await })
    }

    /// Notes a read for the report of use. Keys that are to be shown have a name.
    fn note_read(&self, kind: Kind, id: KeyId, name: impl FnOnce() -> String) {
        let door = self.door();
        let named = || {
            let name = name();
            if name.is_empty() { name } else { format!("{}: {name}", door.tenant.id) }
        };
        self.usage.read(kind, id, door.engine.timeline.coarse(), named);
    }

    /// Says the tags of groups.
    pub(super) fn tagged(&self, groups: &[Group<'_>]) -> Options {
        let tags = groups.iter().map(|group| group.tag(self.door())).collect();
        Options { tags, ..Options::default() }
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_one(
        &self,
        id: S::Id,
    ) -> Prepared<S::Item, impl FnOnce() -> Loading<Option<S::Item>, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_one(&id);
        let place = self.usage.key(self.door(), key.as_bytes());
        let calls = self.calls(Kind::Items, S::POLICY.fresh_time());
        Prepared { key, id: place, load: self.loader(calls, place, async move |source: Arc<S>| source.one(&id).await) }
    }

    /// Makes the loader of several items.
    #[allow(clippy::type_complexity)]
    pub(super) fn many_loader(
        &self,
    ) -> impl FnOnce(Vec<S::Id>) -> Loading<Vec<(S::Id, S::Item)>, S::Error> + Send + 'static + use<S> {
        let (source, calls) = (Arc::clone(&self.source), self.calls(Kind::Items, S::POLICY.fresh_time()));
        move |missing| {
            Box::pin(async move {
                let place = |id| calls.usage.key(&calls.door, Self::ITEMS.key(id).as_bytes());
                let places: Vec<KeyId> = missing.iter().map(place).collect();
                let found = calls.run(&places, source.many(missing)).await?;
                Ok(found.into_iter().map(|item| (S::id(&item), item)).collect())
            })
        }
    }

    /// Reads an item; `None` if there is none, which is known for `negative_ttl`. Takes the options of
    /// [`get_or_load_optional`](crate::Namespace::get_or_load_optional).
    ///
    /// # Errors
    /// As [`get_or_load`](crate::Namespace::get_or_load): the source's own is a `LoadError::Loader`.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](crate::Namespace::get_or_load): a load that has begun goes on and is stored.
    #[allow(clippy::type_complexity)]
    pub fn one(
        &self,
        id: S::Id,
    ) -> GetOrLoadOptional<'_, S::Item, impl FnOnce() -> Loading<Option<S::Item>, S::Error> + Send + 'static + use<S>>
    {
        let shown = id.clone();
        let Prepared { key, id, load } = self.prepare_one(id);
        self.note_read(Kind::Items, id, || format!("{shown:?}"));
        GetOrLoadOptional::with(self.door(), key, load, Options::default())
    }

    /// Reads several items, with one call of the source for all that no tier has: a `HashMap` by their ids, without those that do not
    /// exist. The entries are those of [`one`](Self::one). Takes the options of [`get_or_load_many`](crate::Namespace::get_or_load_many).
    ///
    /// # Errors
    /// As [`get_or_load_many`](crate::Namespace::get_or_load_many).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn many<I: IntoIterator<Item = S::Id>>(
        &self,
        ids: I,
    ) -> GetOrLoadMany<
        '_,
        S::Id,
        S::Item,
        impl FnOnce(Vec<S::Id>) -> Loading<Vec<(S::Id, S::Item)>, S::Error> + Send + 'static + use<S, I>,
    > {
        let ids: Vec<S::Id> = ids.into_iter().collect();
        for id in &ids {
            let place = self.usage.key(self.door(), Self::ITEMS.key(id).as_bytes());
            self.note_read(Kind::Items, place, || format!("{id:?}"));
        }
        GetOrLoadMany::new(self.door(), Self::ITEMS, ids, self.many_loader())
    }
}

impl<S: PageSource> Resource<S> {
    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_page(
        &self,
        page: S::Page,
    ) -> Prepared<S::Content, impl FnOnce() -> Loading<S::Content, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_page(&page);
        let id = self.usage.key(self.door(), key.as_bytes());
        let calls = self.calls(Kind::Pages, S::PAGE_POLICY.fresh_time());
        Prepared { key, id, load: self.loader(calls, id, async move |source: Arc<S>| source.page(&page).await) }
    }

    /// Reads a page. Takes the options of [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn page(
        &self,
        page: S::Page,
    ) -> GetOrLoad<'_, S::Content, impl FnOnce() -> Loading<S::Content, S::Error> + Send + 'static + use<S>> {
        let Prepared { key, id, load } = self.prepare_page(page);
        self.note_read(Kind::Pages, id, String::new);
        GetOrLoad::with(self.door(), key, load, self.tagged(&[Group::Lists]))
    }
}

impl<S: ListSource> Resource<S> {
    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_list(
        &self,
        filter: S::Filter,
        window: Window,
    ) -> Prepared<Vec<S::Item>, impl FnOnce() -> Loading<Vec<S::Item>, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_list(&filter, window);
        let id = self.usage.key(self.door(), key.as_bytes());
        let calls = self.calls(Kind::Lists, S::LIST_POLICY.fresh_time());
        Prepared {
            key,
            id,
            load: self.loader(calls, id, async move |source: Arc<S>| source.list(&filter, window).await),
        }
    }

    /// Reads the part of a list that is in a window. Takes the options of [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn list(
        &self,
        filter: S::Filter,
        window: Window,
    ) -> GetOrLoad<'_, Vec<S::Item>, impl FnOnce() -> Loading<Vec<S::Item>, S::Error> + Send + 'static + use<S>> {
        let Prepared { key, id, load } = self.prepare_list(filter, window);
        self.note_read(Kind::Lists, id, String::new);
        GetOrLoad::with(self.door(), key, load, self.tagged(&[Group::Lists]))
    }
}

impl<S: CountSource> Resource<S> {
    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_count(
        &self,
        filter: S::Filter,
    ) -> Prepared<u64, impl FnOnce() -> Loading<u64, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_count(&filter);
        let id = self.usage.key(self.door(), key.as_bytes());
        let calls = self.calls(Kind::Counts, S::COUNT_POLICY.fresh_time());
        Prepared { key, id, load: self.loader(calls, id, async move |source: Arc<S>| source.count(&filter).await) }
    }

    /// Counts the items of a list. Takes the options of [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn count(
        &self,
        filter: S::Filter,
    ) -> GetOrLoad<'_, u64, impl FnOnce() -> Loading<u64, S::Error> + Send + 'static + use<S>> {
        let Prepared { key, id, load } = self.prepare_count(filter);
        self.note_read(Kind::Counts, id, String::new);
        GetOrLoad::with(self.door(), key, load, self.tagged(&[Group::Lists]))
    }
}

impl<S: QuerySource> Resource<S> {
    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_query(
        &self,
        query: S::Query,
    ) -> Prepared<S::Answer, impl FnOnce() -> Loading<S::Answer, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_query(&query);
        let id = self.usage.key(self.door(), key.as_bytes());
        let calls = self.calls(Kind::Queries, S::QUERY_POLICY.fresh_time());
        Prepared { key, id, load: self.loader(calls, id, async move |source: Arc<S>| source.query(&query).await) }
    }

    /// Answers a query. Takes the options of [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn query(
        &self,
        query: S::Query,
    ) -> GetOrLoad<'_, S::Answer, impl FnOnce() -> Loading<S::Answer, S::Error> + Send + 'static + use<S>> {
        let Prepared { key, id, load } = self.prepare_query(query);
        self.note_read(Kind::Queries, id, String::new);
        GetOrLoad::with(self.door(), key, load, self.tagged(&[Group::Lists]))
    }
}

impl<S: PartitionSource> Resource<S> {
    pub(super) fn partition_tags(&self, partition: &S::Partition) -> Options {
        self.tagged(&[Group::Partition(&Key::new(partition)), Group::Partitions])
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn prepare_partition(
        &self,
        partition: S::Partition,
    ) -> Prepared<Vec<S::Item>, impl FnOnce() -> Loading<Vec<S::Item>, S::Error> + Send + 'static + use<S>> {
        let key = self.key_for_partition(&partition);
        // by what writes name it by
        let id = self.usage.key(self.door(), Key::<()>::new(&partition).as_bytes());
        let calls = self.calls(Kind::Partitions, S::PARTITION_POLICY.fresh_time());
        Prepared {
            key,
            id,
            load: self.loader(calls, id, async move |source: Arc<S>| source.partition(&partition).await),
        }
    }

    /// Reads the items of a partition. Takes the options of [`get_or_load`](crate::Namespace::get_or_load).
    ///
    /// # Errors
    /// As [`one`](Self::one).
    ///
    /// # Cancel safety
    /// As [`one`](Self::one).
    #[allow(clippy::type_complexity)]
    pub fn partition(
        &self,
        partition: S::Partition,
    ) -> GetOrLoad<'_, Vec<S::Item>, impl FnOnce() -> Loading<Vec<S::Item>, S::Error> + Send + 'static + use<S>> {
        let (options, shown) = (self.partition_tags(&partition), partition.clone());
        let Prepared { key, id, load } = self.prepare_partition(partition);
        self.note_read(Kind::Partitions, id, || format!("{shown:?}"));
        GetOrLoad::with(self.door(), key, load, options)
    }
}
