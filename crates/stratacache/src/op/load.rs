//! `get_or_load` and its relatives.

use std::{
    cell::Cell,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use stratacache_core::Key;
use tracing::Instrument;

use super::{
    load_future::{NotYet, State, at_once, load_slowly},
    loader,
    options::{Options, options},
};
use crate::{Cached, LoadContext, LoadError, Loaded, codec::CacheValue, engine::Door};

macro_rules! load_operation {
    (
        $(#[$doc:meta])* $name:ident, $future:ident, output: $output:ty,
        loader: ($($argument:ty)?) -> $result:ty, wrap: $wrap:path, forced: $forced:expr, optional: $optional:expr,
        answer: $answer:expr $(,)?
    ) => {
        $(#[$doc])*
        #[must_use = "nothing happens until it is awaited"]
        pub struct $name<'a, V: 'static, F> {
            door: &'a Arc<Door>,
            key: Key<V>,
            load: F,
            options: Options,
            /// Clones the loader, where it may be called again.
            again: Option<fn(&F) -> F>,
        }

        impl<'a, V: 'static, F> $name<'a, V, F> {
            #[inline]
            pub(crate) fn new(door: &'a Arc<Door>, key: Key<V>, load: F) -> Self {
                Self::with(door, key, load, Options::default())
            }

            #[inline]
            pub(crate) fn with(door: &'a Arc<Door>, key: Key<V>, load: F, options: Options) -> Self {
                Self { door, key, load, options, again: None }
            }

            options!(policy);
            options!(tags);
            options!(consistency);
            options!(tiers);
            options!(share_load);
            options!(loader);
            options!(retry);
        }

        impl<'a, V, E, F, Fut> IntoFuture for $name<'a, V, F>
        where
            V: CacheValue,
            E: Send + Sync + 'static,
            F: FnOnce($($argument)?) -> Fut + Send + 'static,
            Fut: Future<Output = $result> + Send + 'static,
        {
            type Output = Result<$output, LoadError<E>>;
            type IntoFuture = $future<'a, V, E, F>;

            #[inline]
            fn into_future(self) -> Self::IntoFuture {
                $future(State::new(self))
            }
        }

        #[doc = concat!("The future of [`", stringify!($name), "`].")]
        ///
        /// # Cancel safety
        /// May be dropped at any time: a load that has begun goes on in a task of its own and is stored.
        #[allow(clippy::type_complexity)]
        pub struct $future<'a, V: 'static, E, F>(State<'a, $name<'a, V, F>, Result<$output, LoadError<E>>>);

        // nothing in it is ever pinned in place: the slow way is boxed
        impl<V: 'static, E, F> Unpin for $future<'_, V, E, F> {}

        impl<V, E, F, Fut> Future for $future<'_, V, E, F>
        where
            V: CacheValue,
            E: Send + Sync + 'static,
            F: FnOnce($($argument)?) -> Fut + Send + 'static,
            Fut: Future<Output = $result> + Send + 'static,
        {
            type Output = Result<$output, LoadError<E>>;

            #[inline]
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let answer: fn(Option<Cached<V>>) -> Result<$output, LoadError<E>> = $answer;
                let refresh = Cell::new(false);
                self.0.drive(
                    cx,
                    |start| {
                        if $forced || !start.options.is_plain() {
                            return None;
                        }
                        match at_once::<V>(start.door, &start.key, $optional) {
                            Ok(found) => Some(answer(found)),
                            Err(not_yet) => {
                                refresh.set(not_yet == NotYet::Refresh);
                                None
                            }
                        }
                    },
                    |$name { door, key, load, options, again }| {
                        let (door, refresh) = (Arc::clone(door), refresh.get());
                        let span = door.span_of_get();
                        let slowly = async move {
                            answer(load_slowly(door, key, options, loader::loading(load, again, $wrap), $forced, $optional, refresh).await?)
                        };
                        Box::pin(slowly.instrument(span))
                    },
                )
            }
        }
    };
}

load_operation! {
    /// A read that runs a loader when no tier has the value. Made by [`Namespace::get_or_load`](crate::Namespace::get_or_load).
    GetOrLoad, GetOrLoadFuture, output: Cached<V>,
    loader: () -> Result<V, E>, wrap: loader::of_value, forced: false, optional: false,
    answer: |found| found.ok_or(LoadError::NothingToKeep),
}

load_operation! {
    /// A read whose loader may find that there is no such thing. Made by [`Namespace::get_or_load_optional`](crate::Namespace::get_or_load_optional).
    GetOrLoadOptional, GetOrLoadOptionalFuture, output: Option<Cached<V>>,
    loader: () -> Result<Option<V>, E>, wrap: loader::of_option, forced: false, optional: true,
    answer: |found| Ok(found),
}

load_operation! {
    /// A read whose loader knows the stale value and may say how its result is kept. Made by
    /// [`Namespace::get_or_load_with`](crate::Namespace::get_or_load_with).
    GetOrLoadWith, GetOrLoadWithFuture, output: Option<Cached<V>>,
    loader: (LoadContext<V>) -> Result<Loaded<V>, E>, wrap: loader::of_context, forced: false, optional: true,
    answer: |found| Ok(found),
}

load_operation! {
    /// A load that runs whatever the tiers hold. Made by [`Namespace::refresh`](crate::Namespace::refresh).
    Refresh, RefreshFuture, output: Cached<V>,
    loader: () -> Result<V, E>, wrap: loader::of_value, forced: true, optional: false,
    answer: |found| found.ok_or(LoadError::NothingToKeep),
}
