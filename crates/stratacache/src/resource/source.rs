//! What a resource reads from: small traits, so that what a source does not have cannot be asked for.

use std::{fmt::Debug, future::Future, hash::Hash};

use serde::{Serialize, de::DeserializeOwned};
use stratacache_core::{KeyPart, Policy, Tag, minutes};

use super::{Partitions, Window, Written};
use crate::CacheValue;

/// What can be an argument of a read, and so a part of its key.
///
/// Implemented for everything that is a [`KeyPart`] and `Clone + Send + Sync + 'static`, as numbers, `String`, tuples of them and types
/// that derive `KeyPart` are.
pub trait Argument: KeyPart + Clone + Send + Sync + 'static {}

impl<T: KeyPart + Clone + Send + Sync + 'static> Argument for T {}

/// Where the items of a [`Resource`](super::Resource) come from: a table, a service.
///
/// Only items by their ids are asked of every source. What else one has, it says by further traits, and the resource has a method for
/// each: [`PageSource`], [`ListSource`], [`CountSource`], [`QuerySource`], [`PartitionSource`], and [`WritableSource`] for writes.
/// What a source does not have does not compile.
///
/// Implement the methods as `async fn`. A source sees the data of one tenant: bind it to the same tenant as the namespace of its
/// resource. It is shared by the loads, which run in tasks of their own.
///
/// ```
/// use std::{convert::Infallible, sync::Arc};
/// use stratacache::{Policy, hours, minutes, resource::Source};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Contact { id: u64, name: String }
///
/// struct Contacts; // in life: a handle of the database
///
/// impl Source for Contacts {
///     const NAME: &'static str = "contacts";
///     const POLICY: Policy = Policy::ttl(minutes(10)).stale_if_error(hours(1));
///     type Id = u64;
///     type Item = Contact;
///     type Error = Infallible;
///
///     fn id(item: &Contact) -> u64 {
///         item.id
///     }
///
///     async fn one(&self, id: &u64) -> Result<Option<Contact>, Infallible> {
///         Ok((*id < 100).then(|| Contact { id: *id, name: format!("contact {id}") }))
///     }
/// }
/// ```
pub trait Source: Send + Sync + 'static {
    /// The name: of the keyspace of its items, and, as `("resource", NAME)`, of the namespace that the resource lives in. 1 to 53 bytes,
    /// else it does not compile. Two sources with one name in one namespace are one resource, so give them two.
    const NAME: &'static str;

    /// The policy of everything that is read, unless the trait of a kind says otherwise. Default: a ttl of 5 minutes.
    const POLICY: Policy = Policy::ttl(minutes(5));

    /// The version of the shape of the values; results of another version are misses. Default 0.
    const VERSION: u32 = 0;

    /// What an item is found by.
    type Id: Argument + Hash + Eq + Debug;

    /// What is read and written.
    type Item: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What it fails with.
    type Error: Send + Sync + 'static;

    /// Returns the id of an item.
    fn id(item: &Self::Item) -> Self::Id;

    /// Reads an item; `None` if there is none, which is kept for the policy's `negative_ttl`.
    ///
    /// # Errors
    /// The source's own. Nothing is kept then.
    fn one(&self, id: &Self::Id) -> impl Future<Output = Result<Option<Self::Item>, Self::Error>> + Send;

    /// Reads several items, in any order; what it leaves out does not exist. By default one after the other.
    ///
    /// # Errors
    /// The source's own.
    fn many(&self, ids: Vec<Self::Id>) -> impl Future<Output = Result<Vec<Self::Item>, Self::Error>> + Send {
        async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in &ids {
                found.extend(self.one(id).await?);
            }
            Ok(found)
        }
    }
}

/// A source with pages.
pub trait PageSource: Source {
    /// The policy of pages. Default: that of the source.
    const PAGE_POLICY: Policy = Self::POLICY;

    /// What a page is asked for by, wholly: its number, and whatever else it depends on.
    type Page: Argument;

    /// What a page is: `Vec<Item>`, or a type of its own.
    type Content: CacheValue;

    /// Reads a page.
    ///
    /// # Errors
    /// The source's own.
    fn page(&self, page: &Self::Page) -> impl Future<Output = Result<Self::Content, Self::Error>> + Send;
}

/// A source that lists items by a filter.
pub trait ListSource: Source {
    /// The policy of lists. Default: that of the source.
    const LIST_POLICY: Policy = Self::POLICY;

    /// What is listed, in which order; `()` where there is only one list.
    type Filter: Argument;

    /// Reads the part of a list that is in the window.
    ///
    /// # Errors
    /// The source's own.
    fn list(
        &self,
        filter: &Self::Filter,
        window: Window,
    ) -> impl Future<Output = Result<Vec<Self::Item>, Self::Error>> + Send;
}

/// A source that counts what it lists.
pub trait CountSource: ListSource {
    /// The policy of counts. Default: that of lists.
    const COUNT_POLICY: Policy = Self::LIST_POLICY;

    /// Counts the items of a list.
    ///
    /// # Errors
    /// The source's own.
    fn count(&self, filter: &Self::Filter) -> impl Future<Output = Result<u64, Self::Error>> + Send;
}

/// A source that answers queries: sums, searches, reports.
pub trait QuerySource: Source {
    /// The policy of answers. Default: that of the source.
    const QUERY_POLICY: Policy = Self::POLICY;

    /// What is asked, wholly.
    type Query: Argument;

    /// What it is answered with.
    type Answer: CacheValue;

    /// Answers a query.
    ///
    /// # Errors
    /// The source's own.
    fn query(&self, query: &Self::Query) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// A source whose items lie in partitions: a city, a month, an owner.
pub trait PartitionSource: Source {
    /// The policy of partitions. Default: that of the source.
    const PARTITION_POLICY: Policy = Self::POLICY;

    /// What a partition is named by.
    type Partition: Argument + Debug;

    /// Reads the items of a partition.
    ///
    /// # Errors
    /// The source's own.
    fn partition(
        &self,
        partition: &Self::Partition,
    ) -> impl Future<Output = Result<Vec<Self::Item>, Self::Error>> + Send;
}

/// A source that can be written.
///
/// What a write has touched is invalidated for it: the item, everything that is made of many items (pages, lists, counts, answers), and
/// the partitions that the item was in and is in.
pub trait WritableSource: Source {
    /// What a save is given: an item, or what a user has changed of one.
    type Draft: Send + 'static;

    /// Writes, commits, and says what there is now and what there was before.
    ///
    /// It runs in a task of its own, to its end, whether or not anybody waits for it.
    ///
    /// # Errors
    /// The source's own; see [`wrote_nothing`](Self::wrote_nothing).
    fn save(&self, draft: Self::Draft) -> impl Future<Output = Result<Written<Self::Item>, Self::Error>> + Send;

    /// Removes an item, commits, and says what there was. As [`save`](Self::save). [`Written::nothing`] if there is none: its id is
    /// invalidated all the same, since who removed it may have died before its turn to say so.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn delete(&self, id: &Self::Id) -> impl Future<Output = Result<Written<Self::Item>, Self::Error>> + Send;

    /// Tells whether after this error it is certain that nothing was written, as when a constraint was violated. Default: it is not.
    ///
    /// When it is not, as after a connection broke at the commit, everything of the resource is invalidated.
    fn wrote_nothing(error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// Names the partitions that an item is in. Default: [`Partitions::all`], which is right for sources without any, and for others
    /// wider than it need be.
    ///
    /// ```
    /// # use stratacache::resource::Partitions;
    /// # struct Contact { city: String }
    /// # struct Contacts;
    /// # impl Contacts {
    /// fn partitions(contact: &Contact, into: &mut Partitions) {
    ///     into.add(&contact.city);
    /// }
    /// # }
    /// ```
    fn partitions(item: &Self::Item, into: &mut Partitions) {
        let _ = item;
        into.all();
    }

    /// Returns what else depends on an item: tags of the tenant, that the source or anybody else puts on entries. It is asked about what
    /// there was before and what there is now. Default: nothing.
    fn touches(item: &Self::Item) -> Vec<Tag> {
        let _ = item;
        Vec::new()
    }
}
