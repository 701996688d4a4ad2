//! The key of each kind of result, and the tags of what is made of many items.
//!
//! A resource lives in a namespace of its own, each kind in a keyspace of its own, and the whole of the arguments is the key. So no two
//! results share one, whatever values somebody thinks of.

use stratacache_core::{Key, KeyPart, Keyspace, Tag};

use super::{CountSource, ListSource, PageSource, PartitionSource, QuerySource, Resource, Source};
use crate::engine::Door;

/// The part of a longer list that is asked for: `Window::first(20).after(40)` is the third page of twenty.
///
/// It is a part of the key: two windows are two entries, also where one lies in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many items are left out at the beginning.
    pub offset: u64,
    /// How many items are returned at most.
    pub limit: u64,
}

impl Window {
    /// Asks for the first so many items.
    #[must_use]
    pub const fn first(limit: u64) -> Self {
        Self { offset: 0, limit }
    }

    /// Asks for the same number of items, after so many others. Said twice, the last one holds.
    #[must_use]
    pub const fn after(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

impl KeyPart for Window {
    fn encode(&self, parts: &mut stratacache_core::PartEncoder) {
        (self.offset, self.limit).encode(parts);
    }
}

/// Most bytes in the name of a keyspace.
const MOST: usize = 64;

/// The name of a kind, and its length.
type Name = ([u8; MOST], usize);

const fn name(source: &str, kind: &str) -> Name {
    assert!(!source.is_empty() && source.len() <= 53, "the NAME of a source has 1 to 53 bytes");
    let (mut bytes, mut length) = ([0; MOST], 0);
    let parts = [source.as_bytes(), kind.as_bytes()];
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            bytes[length] = parts[part][at];
            at += 1;
            length += 1;
        }
        part += 1;
    }
    (bytes, length)
}

const fn text(name: &'static Name) -> &'static str {
    match std::str::from_utf8(name.0.split_at(name.1).0) {
        Ok(text) => text,
        Err(_) => panic!("two texts make a text"),
    }
}

impl<S: Source> Resource<S> {
    const ITEM_NAME: &'static Name = &name(S::NAME, "");

    /// The keyspace of items, named [`NAME`](Source::NAME): to check its policy with
    /// [`CacheBuilder::keyspace`](crate::CacheBuilder::keyspace), to warm it with [`Namespace::warm`](crate::Namespace::warm), or for
    /// [`Cache::keyspace_stats`](crate::Cache::keyspace_stats) by its name.
    pub const ITEMS: &'static Keyspace<S::Id, S::Item> =
        &Keyspace::new(text(Self::ITEM_NAME), S::POLICY).version(S::VERSION);

    /// Returns the key of an item, in the [`namespace`](Self::namespace) of the resource.
    #[must_use]
    pub fn key_for_one(&self, id: &S::Id) -> Key<S::Item> {
        Self::ITEMS.key(id)
    }
}

impl<S: PageSource> Resource<S> {
    const PAGE_NAME: &'static Name = &name(S::NAME, ".pages");

    /// The keyspace of pages, named [`NAME`](Source::NAME) and `.pages`.
    pub const PAGES: &'static Keyspace<S::Page, S::Content> =
        &Keyspace::new(text(Self::PAGE_NAME), S::PAGE_POLICY).version(S::VERSION);

    /// Returns the key of a page.
    #[must_use]
    pub fn key_for_page(&self, page: &S::Page) -> Key<S::Content> {
        Self::PAGES.key(page)
    }
}

impl<S: ListSource> Resource<S> {
    const LIST_NAME: &'static Name = &name(S::NAME, ".lists");

    /// The keyspace of lists, named [`NAME`](Source::NAME) and `.lists`.
    pub const LISTS: &'static Keyspace<(S::Filter, Window), Vec<S::Item>> =
        &Keyspace::new(text(Self::LIST_NAME), S::LIST_POLICY).version(S::VERSION);

    /// Returns the key of a part of a list.
    #[must_use]
    pub fn key_for_list(&self, filter: &S::Filter, window: Window) -> Key<Vec<S::Item>> {
        Self::LISTS.key(&(filter.clone(), window))
    }
}

impl<S: CountSource> Resource<S> {
    const COUNT_NAME: &'static Name = &name(S::NAME, ".counts");

    /// The keyspace of counts, named [`NAME`](Source::NAME) and `.counts`.
    pub const COUNTS: &'static Keyspace<S::Filter, u64> =
        &Keyspace::new(text(Self::COUNT_NAME), S::COUNT_POLICY).version(S::VERSION);

    /// Returns the key of a count.
    #[must_use]
    pub fn key_for_count(&self, filter: &S::Filter) -> Key<u64> {
        Self::COUNTS.key(filter)
    }
}

impl<S: QuerySource> Resource<S> {
    const QUERY_NAME: &'static Name = &name(S::NAME, ".queries");

    /// The keyspace of answers to queries, named [`NAME`](Source::NAME) and `.queries`.
    pub const QUERIES: &'static Keyspace<S::Query, S::Answer> =
        &Keyspace::new(text(Self::QUERY_NAME), S::QUERY_POLICY).version(S::VERSION);

    /// Returns the key of the answer to a query.
    #[must_use]
    pub fn key_for_query(&self, query: &S::Query) -> Key<S::Answer> {
        Self::QUERIES.key(query)
    }
}

impl<S: PartitionSource> Resource<S> {
    const PARTITION_NAME: &'static Name = &name(S::NAME, ".partitions");

    /// The keyspace of partitions, named [`NAME`](Source::NAME) and `.partitions`.
    pub const PARTITIONS: &'static Keyspace<S::Partition, Vec<S::Item>> =
        &Keyspace::new(text(Self::PARTITION_NAME), S::PARTITION_POLICY).version(S::VERSION);

    /// Returns the key of a partition.
    #[must_use]
    pub fn key_for_partition(&self, partition: &S::Partition) -> Key<Vec<S::Item>> {
        Self::PARTITIONS.key(partition)
    }
}

/// What the entries of a resource depend on besides their keys.
#[derive(Clone, Copy)]
pub(super) enum Group<'a> {
    /// Everything that is made of many items, partitions apart.
    Lists,
    /// All partitions.
    Partitions,
    /// One, by its encoded name.
    Partition(&'a Key<()>),
}

impl Group<'_> {
    /// Returns the tag. A tag reaches the whole tenant, so the path of the namespace is in it.
    pub(super) fn tag(self, door: &Door) -> Tag {
        let path = door.space.prefix.path().as_bytes();
        match self {
            Self::Lists => Tag::new(("strata.resource", path, "lists")),
            Self::Partitions => Tag::new(("strata.resource", path, "partitions")),
            Self::Partition(name) => Tag::new(("strata.resource", path, "partition", name.as_bytes())),
        }
    }
}
