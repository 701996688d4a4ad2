//! The future of the reads that load: memory is polled first, without a box.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stratacache_core::Key;

use super::{BoxFuture, options::Options};
use crate::{
    Cached, Freshness, LoadError,
    codec::CacheValue,
    engine::{BoxedLoad, Call, Door, Quick, Request, Seen},
    observe::Counter,
};

/// What memory answers at once.
pub(super) enum AtOnce<V> {
    Hit(Cached<V>),
    Absent,
    /// Nothing simple; the flag says that the entry asked for an early refresh.
    NotYet {
        refresh: bool,
    },
}

/// Asks memory for a simple answer.
#[inline]
pub(super) fn at_once<V: CacheValue>(door: &Arc<Door>, key: &Key<V>, optional: bool) -> AtOnce<V> {
    if door.asks_first(key) {
        return AtOnce::NotYet { refresh: false };
    }
    let engine = &door.engine;
    let (entry, now) = match engine.quick::<V>(door, key.as_bytes()) {
        Quick::Hit(entry, now) => (entry, now),
        Quick::Miss | Quick::OtherType => return AtOnce::NotYet { refresh: false },
        Quick::Look(slot) => match engine.examine::<V>(door, key.as_bytes(), slot) {
            Seen::Fresh { entry, refresh: false } => {
                engine.touch_below(door, key, &entry);
                (entry, engine.timeline.coarse())
            }
            Seen::Fresh { refresh: true, .. } => return AtOnce::NotYet { refresh: true },
            _ => return AtOnce::NotYet { refresh: false },
        },
    };
    match Cached::new(entry, Freshness::Fresh, now) {
        Some(cached) => {
            door.count(key, Counter::memory_hits);
            tracing::trace!(key = door.key_hash(key.as_bytes()), "hit in memory");
            AtOnce::Hit(cached)
        }
        None if optional => {
            door.count(key, Counter::memory_hits);
            door.count(key, Counter::absent_hits);
            AtOnce::Absent
        }
        None => AtOnce::NotYet { refresh: false },
    }
}

/// Loads, after memory had no simple answer. `None` is an absence.
pub(super) async fn load_slowly<V, E>(
    door: Arc<Door>,
    key: Key<V>,
    options: Options,
    load: BoxedLoad<V, E>,
    forced: bool,
    optional: bool,
    refresh: bool,
) -> Result<Option<Cached<V>>, LoadError<E>>
where
    V: CacheValue,
    E: Send + Sync + 'static,
{
    let policy = options.policy(&door, &key).map_err(LoadError::Invalid)?;
    let engine = Arc::clone(&door.engine);
    let share = options.rare.as_ref().is_none_or(|r| !r.alone);
    let ttl = policy.fresh_time();
    let call = Call {
        ns: Arc::clone(&door),
        key: key.clone(),
        policy,
        ttl,
        tags: options.tags,
        forced,
        share,
        optional,
        refresh,
    };
    let landed = engine.read_through(Request { call, load }).await?;
    let freshness = landed.freshness;
    let cached = landed.cached(engine.timeline.now());
    if cached.is_none() && freshness != Freshness::Loaded {
        door.count(&key, Counter::absent_hits);
    }
    Ok(cached)
}

/// The state of a future that polls memory first.
pub(super) enum State<'a, T, R> {
    Start(T),
    Slow(BoxFuture<'a, R>),
    Done,
}

impl<'a, T, R> State<'a, T, R> {
    /// Drives the state: `at_once` may have the answer, else `slowly` gives the long way to it.
    #[inline]
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        at_once: impl FnOnce(&T) -> Option<R>,
        slowly: impl FnOnce(T) -> BoxFuture<'a, R>,
    ) -> Poll<R> {
        if let Self::Start(start) = self {
            // looked at where it is: an operation is large to move
            if let Some(answer) = at_once(start) {
                *self = Self::Done;
                return Poll::Ready(answer);
            }
            self.take_off(slowly);
        }
        self.go_on(cx)
    }

    #[cold]
    fn take_off(&mut self, slowly: impl FnOnce(T) -> BoxFuture<'a, R>) {
        if let Self::Start(start) = std::mem::replace(self, Self::Done) {
            *self = Self::Slow(slowly(start));
        }
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        match self {
            Self::Slow(slow) => {
                let polled = Pin::as_mut(slow).poll(cx);
                if polled.is_ready() {
                    *self = Self::Done;
                }
                polled
            }
            // polled after it was ready: there is nothing more to come
            _ => Poll::Pending,
        }
    }
}
