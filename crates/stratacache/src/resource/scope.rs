//! What of a resource is invalidated.

use std::{fmt, marker::PhantomData};

use stratacache_core::{Key, KeyPart, Tag, Target};

use super::{
    PartitionSource, Resource, Source, WritableSource, Written,
    keys::Group,
    usage::{Kind, Usage},
    written::Before,
};
use crate::engine::Door;

/// The partitions that an item is in, as its source names them.
#[derive(Debug, Default)]
pub struct Partitions {
    names: Vec<Key<()>>,
    all: bool,
}

impl Partitions {
    /// Names one: the same value that [`PartitionSource::partition`] is asked for.
    pub fn add(&mut self, partition: &impl KeyPart) {
        self.names.push(Key::new(partition));
    }

    /// Says that the item may be in any.
    pub const fn all(&mut self) {
        self.all = true;
    }
}

/// What of a resource is to be invalidated; scopes add up with [`and`](Self::and).
///
/// ```
/// # use stratacache::resource::Scope;
/// # fn scopes<S: stratacache::resource::PartitionSource<Id = u64, Partition = String>>() -> Scope<S> {
/// Scope::item(&7).and(Scope::lists()).and(Scope::partition(&"Bonn".to_owned()))
/// # }
/// ```
pub struct Scope<S> {
    touched: Vec<Touched>,
    source: PhantomData<fn(S)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touched {
    Item(Key<()>),
    Lists,
    Partition(Key<()>),
    Partitions,
    Everything,
    Tag(Tag),
}

impl<S> Scope<S> {
    fn of(touched: Touched) -> Self {
        Self { touched: vec![touched], source: PhantomData }
    }

    /// Means everything that is made of many items: pages, lists, counts and answers to queries. Not partitions.
    #[must_use]
    pub fn lists() -> Self {
        Self::of(Touched::Lists)
    }

    /// Means all partitions.
    #[must_use]
    pub fn partitions() -> Self {
        Self::of(Touched::Partitions)
    }

    /// Means everything that the resource has.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Touched::Everything)
    }

    /// Means everything of the tenant that has a tag, in this resource and outside of it.
    pub fn tag(tag: impl stratacache_core::IntoTag) -> Self {
        Self::of(Touched::Tag(tag.into_tag()))
    }

    /// Means both: they are invalidated at one position.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        other.touched.into_iter().for_each(|touched| self.add(touched));
        self
    }

    fn add(&mut self, touched: Touched) {
        if !self.touched.contains(&touched) {
            self.touched.push(touched);
        }
    }

    pub(super) fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// Tells whether it is everything.
    pub(super) fn is_everything(&self) -> bool {
        self.touched.contains(&Touched::Everything)
    }

    /// Returns the tags that reach every tenant, which no tenant can invalidate.
    pub(super) fn global_tags(&self) -> Self {
        let global = |touched: &&Touched| matches!(touched, Touched::Tag(tag) if tag.is_global());
        Self { touched: self.touched.iter().filter(global).cloned().collect(), source: PhantomData }
    }

    /// Returns the same without the tags that reach every tenant.
    pub(super) fn without_global_tags(mut self) -> Self {
        self.touched.retain(|touched| !matches!(touched, Touched::Tag(tag) if tag.is_global()));
        self
    }

    /// Returns the same without an item.
    pub(super) fn without(mut self, item: &Key<()>) -> Self {
        self.touched.retain(|touched| !matches!(touched, Touched::Item(key) if key == item));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// Notes for the report of use what is invalidated.
    pub(super) fn note(&self, door: &Door, usage: &Usage) {
        for touched in &self.touched {
            match touched {
                Touched::Item(key) => usage.touched(Kind::Items, usage.key(door, key.as_bytes())),
                Touched::Partition(name) => usage.touched(Kind::Partitions, usage.key(door, name.as_bytes())),
                Touched::Lists => usage.all_touched(&Kind::LISTS),
                Touched::Partitions => usage.all_touched(&[Kind::Partitions]),
                Touched::Everything => usage.all_touched(&Kind::ALL),
                Touched::Tag(_) => {}
            }
        }
    }

    /// Returns what the namespace of the resource is to invalidate; everything is not among it.
    pub(super) fn targets(&self, door: &Door) -> Vec<Target> {
        let target = |touched: &Touched| {
            Some(match touched {
                Touched::Item(key) => Target::of(key),
                Touched::Lists => Target::tag(Group::Lists.tag(door)),
                Touched::Partition(name) => Target::tag(Group::Partition(name).tag(door)),
                Touched::Partitions => Target::tag(Group::Partitions.tag(door)),
                Touched::Tag(tag) => Target::tag(tag),
                Touched::Everything => return None,
            })
        };
        self.touched.iter().filter_map(target).collect()
    }
}

impl<S: Source> Scope<S> {
    /// Means one item. What is made of it and of others is [`lists`](Self::lists) and [`partition`](Self::partition)s: say those, too,
    /// where the item was written.
    #[must_use]
    pub fn item(id: &S::Id) -> Self {
        Self::of(Touched::Item(Resource::<S>::ITEMS.key(id).untyped()))
    }
}

impl<S: PartitionSource> Scope<S> {
    /// Means one partition.
    #[must_use]
    pub fn partition(partition: &S::Partition) -> Self {
        Self::of(Touched::Partition(Key::new(partition)))
    }
}

impl<S: WritableSource> Scope<S> {
    /// Returns what a write has touched.
    pub(super) fn of_write(written: &Written<S::Item>, id: Option<&S::Id>) -> Self {
        let mut scope = Self::lists();
        let mut partitions = Partitions::default();
        let before = match &written.before {
            Before::Nothing => None,
            Before::Known(item) => Some(item),
            Before::Unknown => {
                partitions.all();
                None
            }
        };
        if before.is_none() && written.now.is_none() {
            partitions.all();
        }
        let ids = id.cloned().into_iter().chain(before.into_iter().chain(&written.now).map(S::id));
        for id in ids {
            let key = Resource::<S>::ITEMS.key(&id).untyped();
            // what is too long for a key was never cached
            if key.check().is_ok() {
                scope.add(Touched::Item(key));
            }
        }
        for item in before.into_iter().chain(&written.now) {
            S::partitions(item, &mut partitions);
            S::touches(item).into_iter().for_each(|tag| scope.add(Touched::Tag(tag)));
        }
        if partitions.all {
            scope.add(Touched::Partitions);
        } else {
            partitions.names.into_iter().for_each(|name| scope.add(Touched::Partition(name)));
        }
        scope
    }
}

impl<S> Clone for Scope<S> {
    fn clone(&self) -> Self {
        Self { touched: self.touched.clone(), source: PhantomData }
    }
}

impl<S> fmt::Debug for Scope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.touched).finish()
    }
}
