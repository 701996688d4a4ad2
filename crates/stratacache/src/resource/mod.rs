//! A typed read-through over a source: every kind of result has its key, and a write forgets what it touches.

mod changes;
mod keys;
mod read;
mod scope;
mod source;
mod usage;
mod warm;
mod write;
mod write_error;
mod written;

use std::{fmt, sync::Arc};

pub use keys::Window;
pub use read::Loading;
pub use scope::{Partitions, Scope};
pub use source::{Argument, CountSource, ListSource, PageSource, PartitionSource, QuerySource, Source, WritableSource};
pub use usage::{Advice, KindUsage, Usage, UsageReport, UsedKey};
pub use warm::{WarmMany, WarmRead};
pub use write::{Saved, Write};
pub use write_error::{NotForgotten, WriteError};
pub use written::Written;

use crate::{
    Namespace, Stats,
    engine::Door,
    op::{Clear, Invalidate},
};

/// A typed read-through: the results of a [`Source`], cached in a namespace of a tenant.
///
/// Every result is found by the whole of its arguments, and a write invalidates what it touches and nothing else: the item, what is made
/// of many items (pages, lists, counts, answers), and the partitions that the item was in and is in. The guide has
/// [a page](https://github.com/stratacache/stratacache/blob/main/docs/guide/resources.md) about it.
///
/// Reads are the operations of the [`Namespace`] and take the same options (`.consistency(..)`, `.ttl(..)`, `.tag(..)`, ..). The resource
/// lives in a namespace of its own below the one it was made with: `ns.namespace(("resource", S::NAME))`. So what invalidates keys at the
/// tenant's root, as a trigger of an outbox may do, does not reach it; [`change_targets`](Self::change_targets) says what does.
///
/// Cheap to clone, and cheap enough to make for each request.
///
/// ```
/// use std::{collections::BTreeMap, convert::Infallible, sync::Mutex};
/// use stratacache::{Cache, Resource, TenantId, resource::{Source, WritableSource, Written}};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Contact { id: u64, name: String }
///
/// #[derive(Default)]
/// struct Contacts(Mutex<BTreeMap<u64, Contact>>); // in life: a handle of the database
///
/// impl Source for Contacts {
///     const NAME: &'static str = "contacts";
///     type Id = u64;
///     type Item = Contact;
///     type Error = Infallible;
///
///     fn id(contact: &Contact) -> u64 {
///         contact.id
///     }
///     async fn one(&self, id: &u64) -> Result<Option<Contact>, Infallible> {
///         Ok(self.0.lock().expect("a lock").get(id).cloned())
///     }
/// }
///
/// impl WritableSource for Contacts {
///     type Draft = Contact;
///
///     async fn save(&self, contact: Contact) -> Result<Written<Contact>, Infallible> {
///         let before = self.0.lock().expect("a lock").insert(contact.id, contact.clone());
///         Ok(match before {
///             Some(before) => Written::replaced(before, contact),
///             None => Written::created(contact),
///         })
///     }
///     async fn delete(&self, id: &u64) -> Result<Written<Contact>, Infallible> {
///         Ok(self.0.lock().expect("a lock").remove(id).map_or_else(Written::nothing, Written::deleted))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().build().await?;
/// let contacts = Resource::new(&cache.tenant(&TenantId::parse("acme")?), Contacts::default());
///
/// assert!(contacts.one(7).await?.is_none()); // loaded, and kept as an absence
/// contacts.save(Contact { id: 7, name: "Ada".to_owned() }).await?;
/// assert_eq!(contacts.one(7).await?.expect("saved").name, "Ada");
/// # cache.close().await?;
/// # Ok(()) }
/// ```
pub struct Resource<S> {
    ns: Namespace,
    source: Arc<S>,
    usage: Usage,
    through: bool,
}

impl<S: Source> Resource<S> {
    /// Binds a source to a namespace. The source must give the data of the same tenant.
    ///
    /// The resource takes one level more than the namespace, `("resource", S::NAME)`: where that is deeper than allowed, every operation says
    /// so. Defaults of the namespace hold in it: `with_tag` puts a tag on all that the resource keeps.
    #[must_use]
    pub fn new(ns: &Namespace, source: S) -> Self {
        Self::shared(ns, Arc::new(source))
    }

    /// Binds a source that somebody keeps, too, as [`new`](Self::new) does.
    #[must_use]
    pub fn shared(ns: &Namespace, source: Arc<S>) -> Self {
        Self { ns: ns.namespace(("resource", S::NAME)), source, usage: Usage::default(), through: false }
    }

    /// Returns the same resource whose saves store the new item at once, unless they say otherwise: see [`Write::through`].
    #[must_use]
    pub fn write_through(mut self) -> Self {
        self.through = true;
        self
    }

    /// Returns the same resource, which counts its use there instead of in a table of its own. For resources that are made for each
    /// request.
    #[must_use]
    pub fn counted_in(mut self, usage: &Usage) -> Self {
        self.usage = usage.clone();
        self
    }

    /// Returns the source.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Returns the namespace that everything is kept in: for [`inspect`](Namespace::inspect) with [`key_for_one`](Self::key_for_one) and
    /// its relatives, for instance. What is changed in it by hand is the caller's matter.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.ns
    }

    /// Returns the counters of the resource.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ns.stats()
    }

    /// Returns what was read how often, what was hardly worth keeping, and what that says of the ttl. Since the resource was made; shared
    /// by its clones.
    #[must_use]
    pub fn usage(&self) -> UsageReport {
        self.usage.report()
    }

    /// Invalidates some of it, after the source was changed by somebody else. [`save`](Self::save) and [`delete`](Self::delete) do so by
    /// themselves.
    ///
    /// # Errors
    /// As [`Namespace::invalidate`].
    ///
    /// # Cancel safety
    /// As [`Namespace::invalidate`].
    pub fn invalidate(&self, scope: Scope<S>) -> Invalidate<'_> {
        let door = self.door();
        scope.note(door, &self.usage);
        Invalidate::with_all(door, scope.targets(door), scope.is_everything())
    }

    /// Invalidates everything of the resource, as one mark.
    ///
    /// # Errors
    /// As [`Namespace::clear`].
    ///
    /// # Cancel safety
    /// As [`Namespace::clear`].
    pub fn clear(&self) -> Clear<'_> {
        self.ns.clear()
    }
}

impl<S> Resource<S> {
    fn door(&self) -> &Arc<Door> {
        &self.ns.door
    }
}

impl<S> Clone for Resource<S> {
    fn clone(&self) -> Self {
        Self { ns: self.ns.clone(), source: Arc::clone(&self.source), usage: self.usage.clone(), through: self.through }
    }
}

impl<S: Source> fmt::Debug for Resource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &S::NAME).field("namespace", &self.ns).finish_non_exhaustive()
    }
}
