//! Writing: the source first, then what the write has touched is forgotten.

use std::{fmt, future::IntoFuture, sync::Arc};

use smallvec::{SmallVec, smallvec};
use stratacache_core::{Error, Key, Result, Stamp, Token};

use super::{Resource, Scope, Source, WritableSource, WriteError, Written, usage::Usage};
use crate::{
    IntoValue, Invalidation, Queued,
    engine::{Door, WriteItem, WriteRequest, catching},
    op::{BoxFuture, Options, resolve},
};

impl<S: WritableSource> Resource<S> {
    /// Writes by the source, and invalidates what that has touched: the item, its lists, the partitions it was in and is in, and the
    /// tags that [`WritableSource::touches`] names. Nothing else.
    ///
    /// The order is always: the source commits, then the cache forgets, then this returns. So whoever reads afterwards sees the write.
    /// A load that began before is not kept.
    ///
    /// # Errors
    /// [`WriteError`]. After [`WriteError::NotForgotten`] the write is in the source, and it is not known whether all nodes have
    /// forgotten what was there before: [`invalidate`](Self::invalidate) its scope again, or let it wait with [`Write::or_queue`].
    ///
    /// # Cancel safety
    /// Polled once, it goes on to its end in a task of its own, invalidation included. `close` waits for it, for
    /// [`flush_deadline`](crate::CacheBuilder::flush_deadline); a source that takes longer is dropped where it stands, and everything of
    /// the resource is invalidated. So it may be given up after a time:
    /// `tokio::time::timeout(seconds(5), contacts.save(draft)).await`.
    pub fn save(&self, draft: S::Draft) -> Write<'_, S> {
        Write { resource: self, what: What::Save(draft), through: self.through, queue: false }
    }

    /// Removes an item by the source, and invalidates what that has touched. As [`save`](Self::save).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    ///
    /// # Cancel safety
    /// As [`save`](Self::save).
    pub fn delete(&self, id: S::Id) -> Write<'_, S> {
        Write { resource: self, what: What::Delete(id), through: false, queue: false }
    }
}

enum What<S: WritableSource> {
    Save(S::Draft),
    Delete(S::Id),
}

/// A write. Made by [`Resource::save`] and [`Resource::delete`].
#[must_use = "nothing is written until it is awaited"]
pub struct Write<'a, S: WritableSource> {
    resource: &'a Resource<S>,
    what: What<S>,
    through: bool,
    queue: bool,
}

impl<S: WritableSource> Write<'_, S> {
    /// Says whether the new item is stored at once, so that the next reader need not load it. Default: it is not, unless the resource was
    /// made with [`write_through`](Resource::write_through).
    ///
    /// The position it is stored under was taken before the source was written. So another write that comes in between wins: the item is
    /// then not kept. If it cannot be stored, it is forgotten instead, as without this. A delete stores nothing.
    pub fn through(mut self, through: bool) -> Self {
        self.through = through && matches!(self.what, What::Save(_));
        self
    }

    /// Lets the invalidation wait where the shared tier or its coordinator cannot be reached, as
    /// [`Invalidate::or_queue`](crate::op::Invalidate::or_queue): see there what this node and others serve meanwhile.
    /// [`Saved::settled`] waits for it.
    pub fn or_queue(mut self) -> Self {
        self.queue = true;
        self
    }
}

impl<'a, S: WritableSource> IntoFuture for Write<'a, S> {
    type Output = Result<Saved<S>, WriteError<S>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { resource, what, through, queue } = self;
        let task = Task {
            door: Arc::clone(resource.door()),
            source: Arc::clone(&resource.source),
            usage: resource.usage.clone(),
            through,
            queue,
        };
        Box::pin(async move {
            let engine = Arc::clone(&task.door.engine);
            engine.spawner.to_the_end(task.run(what)).await.unwrap_or(Err(WriteError::Abandoned))
        })
    }
}

/// What was written, and what became of the invalidation.
pub struct Saved<S: Source> {
    item: Option<Arc<S::Item>>,
    changed: bool,
    invalidation: Option<Invalidation>,
}

impl<S: Source> Saved<S> {
    /// Returns what there is now; `None` after a delete, and where there was nothing to write ([`Written::nothing`]).
    #[must_use]
    pub fn item(&self) -> Option<&S::Item> {
        self.item.as_deref()
    }

    /// Returns what there is now, to keep.
    #[must_use]
    pub fn into_item(self) -> Option<Arc<S::Item>> {
        self.item
    }

    /// Tells whether the source was changed: it was not where there is no such item to delete or to change.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.changed
    }

    /// Returns the token of the invalidation, for reads elsewhere with `Consistency::Since`. `None` where nothing was written, and where
    /// the invalidation waits.
    #[must_use]
    pub const fn token(&self) -> Option<Token> {
        match &self.invalidation {
            Some(invalidation) => invalidation.token(),
            None => None,
        }
    }

    /// Returns the handle of the invalidation, if it waits ([`Write::or_queue`]).
    #[must_use]
    pub const fn queued(&self) -> Option<&Queued> {
        match &self.invalidation {
            Some(Invalidation::Queued(queued)) => Some(queued),
            _ => None,
        }
    }

    /// Waits until the invalidation holds for every node, if it does not yet, and returns its token.
    ///
    /// # Errors
    /// As [`Queued::applied`].
    ///
    /// # Cancel safety
    /// May be dropped at any time, and called again.
    pub async fn settled(&self) -> Result<Option<Token>> {
        match self.queued() {
            Some(queued) => queued.applied().await.map(Some),
            None => Ok(self.token()),
        }
    }
}

impl<S: Source> fmt::Debug for Saved<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved").field("invalidation", &self.invalidation).finish_non_exhaustive()
    }
}

/// A write on its way, owned.
struct Task<S: WritableSource> {
    door: Arc<Door>,
    source: Arc<S>,
    usage: Usage,
    through: bool,
    queue: bool,
}

impl<S: WritableSource> Task<S> {
    async fn run(self, what: What<S>) -> Result<Saved<S>, WriteError<S>> {
        let engine = &self.door.engine;
        // all that can be refused is, before anything is written
        self.door.check().and_then(|()| engine.permit_invalidation(&self.door)).map_err(WriteError::Refused)?;
        let stamp = engine.mirror.stamp(&self.door.tenant.marks);
        let id = match &what {
            What::Save(_) => None,
            What::Delete(id) => Some(id.clone()),
        };
        let written = match self.write(what).await {
            Ok(written) => written,
            Err(WriteError::Source(error)) if S::wrote_nothing(&error) => return Err(WriteError::Source(error)),
            // nobody knows what was written
            Err(failed) => {
                return Err(match self.forget(Scope::everything()).await {
                    Ok(_) => failed,
                    Err(error) => WriteError::not_forgotten(error, Scope::everything(), Err(failed)),
                });
            }
        };
        if written.is_nothing() && id.is_none() {
            return Ok(Saved { item: None, changed: false, invalidation: None });
        }
        let mut scope = Scope::of_write(&written, id.as_ref());
        let changed = !written.is_nothing();
        let item = written.now.map(Arc::new);
        if self.through
            && let Some(item) = &item
        {
            let key = Resource::<S>::ITEMS.key(&S::id(item));
            let untyped = key.untyped();
            if self.store(key, Arc::clone(item), stamp).await {
                scope = scope.without(&untyped);
            }
        }
        match self.forget(scope.clone()).await {
            Ok(invalidation) => Ok(Saved { item, changed, invalidation: Some(invalidation) }),
            Err(error) => Err(WriteError::not_forgotten(error, scope, Ok(item))),
        }
    }

    /// Lets the source write, to its end or until closing has waited long enough.
    async fn write(&self, what: What<S>) -> Result<Written<S::Item>, WriteError<S>> {
        let engine = &self.door.engine;
        let write = catching(async {
            match what {
                What::Save(draft) => self.source.save(draft).await,
                What::Delete(id) => self.source.delete(&id).await,
            }
        });
        self.usage.written();
        tokio::select! {
            biased;
            written = write => match written {
                Ok(written) => written.map_err(WriteError::Source),
                Err(message) => Err(WriteError::Panicked(message)),
            },
            () = engine.patience_at_close() => Err(WriteError::Abandoned),
        }
    }

    /// Stores the new item; it takes the place of what was there. Returns whether it did, or was overtaken.
    async fn store(&self, key: Key<S::Item>, item: Arc<S::Item>, stamp: Stamp) -> bool {
        let Ok(policy) = Options::default().policy(&self.door, &key) else { return false };
        let item = WriteItem { key, value: item.into_value().0, policy, ttl: policy.fresh_time(), like: None };
        let request = WriteRequest {
            ns: Arc::clone(&self.door),
            items: smallvec![item],
            tags: SmallVec::new(),
            stamp: Some(stamp),
        };
        let stored = self.door.engine.insert(request).await;
        if let Err(error) = &stored {
            tracing::debug!(%error, "a written item is not stored");
        }
        stored.is_ok()
    }

    /// Invalidates what was touched, although the cache may be closing.
    async fn forget(&self, scope: Scope<S>) -> Result<Invalidation> {
        scope.note(&self.door, &self.usage);
        let global = scope.global_tags();
        let scope = scope.without_global_tags();
        let targets = resolve(&self.door, scope.targets(&self.door), scope.is_everything())?;
        let invalidation = self.door.engine.invalidate_committed(&self.door, targets, self.queue).await?;
        if global.is_empty() {
            return Ok(invalidation);
        }
        Err(Error::invalid(
            "a global tag reaches every tenant, so no write of one tenant may touch it: leave it out of `touches`, and \
             invalidate it with Cache::invalidate_global_tag",
        ))
    }
}
