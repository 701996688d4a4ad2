//! `get_or_load` and its relatives.

use std::{
    cell::Cell,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

use stratacache_core::{IntoKey, Key};
use tracing::Instrument;

use super::{
    load_future::{AtOnce, State, load_slowly},
    loader,
    options::{Options, options},
};
use crate::{Cached, LoadContext, LoadError, Loaded, Namespace, codec::CacheValue};

macro_rules! load_operation {
    (
        $(#[$doc:meta])* $name:ident, $future:ident, output: $output:ty,
        loader: ($($argument:ty)?) -> $result:ty, wrap: $wrap:path, forced: $forced:expr, optional: $optional:expr,
        answer: $answer:expr $(,)?
    ) => {
        $(#[$doc])*
        #[must_use = "nothing happens until it is awaited"]
        pub struct $name<'a, V: 'static, F> {
            ns: &'a Namespace,
            key: Key<V>,
            load: F,
            options: Options,
        }

        impl<V: 'static, F> $name<'_, V, F> {
            options!(policy);
            options!(tags);
            options!(consistency);
            options!(share_load);
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
                $future(State::Start(self))
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
                        match start.ns.at_once::<V>(&start.key, $optional) {
                            AtOnce::Hit(cached) => Some(Ok(cached.into())),
                            AtOnce::Absent => Some(answer(None)),
                            AtOnce::NotYet { refresh: wished } => {
                                refresh.set(wished);
                                None
                            }
                        }
                    },
                    |$name { ns, key, load, options }| {
                        let (ns, refresh) = (ns.clone(), refresh.get());
                        let span = tracing::debug_span!("strata.get", tenant = %ns.door.tenant.id);
                        let slowly = async move {
                            answer(load_slowly(ns, key, options, $wrap(load), $forced, $optional, refresh).await?)
                        };
                        Box::pin(slowly.instrument(span))
                    },
                )
            }
        }
    };
}

load_operation! {
    /// A read that runs a loader when no tier has the value. Made by [`Namespace::get_or_load`].
    GetOrLoad, GetOrLoadFuture, output: Cached<V>,
    loader: () -> Result<V, E>, wrap: loader::of_value, forced: false, optional: false,
    answer: |found| found.ok_or(LoadError::NothingToKeep),
}

load_operation! {
    /// A read whose loader may find that there is no such thing. Made by [`Namespace::get_or_load_optional`].
    GetOrLoadOptional, GetOrLoadOptionalFuture, output: Option<Cached<V>>,
    loader: () -> Result<Option<V>, E>, wrap: loader::of_option, forced: false, optional: true,
    answer: |found| Ok(found),
}

load_operation! {
    /// A read whose loader knows the stale value and may say how its result is kept. Made by
    /// [`Namespace::get_or_load_with`].
    GetOrLoadWith, GetOrLoadWithFuture, output: Option<Cached<V>>,
    loader: (LoadContext<V>) -> Result<Loaded<V>, E>, wrap: loader::of_context, forced: false, optional: true,
    answer: |found| Ok(found),
}

load_operation! {
    /// A load that runs whatever the tiers hold. Made by [`Namespace::refresh`].
    Refresh, RefreshFuture, output: Cached<V>,
    loader: () -> Result<V, E>, wrap: loader::of_value, forced: true, optional: false,
    answer: |found| found.ok_or(LoadError::NothingToKeep),
}

impl Namespace {
    /// Returns the value of a key, running `load` if no tier has it: once, however many callers wait.
    ///
    /// The load runs in a task of its own, so a caller that goes away neither wastes nor kills it. It is stored unless
    /// something it depends on was invalidated since it began; its callers get it all the same if they came before that.
    /// Returns as soon as the value is in memory; lower tiers are filled behind.
    ///
    /// The loader is `FnOnce() -> impl Future<Output = Result<V, E>>`, both `Send + 'static`; any
    /// `E: Send + Sync + 'static` will do.
    ///
    /// # Errors
    /// [`LoadError`]: the loader's own error as `Arc<E>`, a time-out, a panic, an overload. With `stale_if_error` a stale
    /// value is returned instead.
    ///
    /// # Cancel safety
    /// May be dropped at any time: a load that has begun goes on and is stored.
    ///
    /// ```
    /// use stratacache::{Cache, Keyspace, Policy, TenantId, minutes};
    ///
    /// const GREETINGS: Keyspace<str, String> = Keyspace::new("greetings", Policy::ttl(minutes(5)));
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder().build().await?;
    /// let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let hello = acme
    ///     .get_or_load(GREETINGS.key("en"), async || Ok::<_, std::io::Error>("hello".to_owned()))
    ///     .tag("greetings")
    ///     .await?;
    /// assert_eq!(*hello, "hello");
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_or_load<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoad<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoad { ns: self, key: key.into_key(), load, options: Options::default() }
    }

    /// Returns the value of a key, running a loader of `Option<V>` if no tier has an answer.
    ///
    /// `None` is kept as a known absence for the policy's `negative_ttl`: it is an answer, not a miss.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    #[inline]
    pub fn get_or_load_optional<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoadOptional<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadOptional { ns: self, key: key.into_key(), load, options: Options::default() }
    }

    /// Returns the value of a key, running a loader that gets a [`LoadContext`] (stale value, ETag, attempt) and returns
    /// a [`Loaded`]: with a ttl, policy, tags and ETag of its own, not modified, absent, or not to be stored.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load); [`LoadError::NothingToKeep`] when the loader says "not modified" without a
    /// value in the cache.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// ```
    /// use stratacache::{Cache, LoadContext, Loaded, TenantId, minutes};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = Cache::builder().build().await?;
    /// # let acme = cache.tenant(&TenantId::parse("acme")?);
    /// let page = acme
    ///     .get_or_load_with("page", async |cx: LoadContext<String>| {
    ///         // ask the source with If-None-Match: cx.etag(); on 304 return Loaded::not_modified()
    ///         assert_eq!(cx.etag(), None);
    ///         Ok::<_, std::io::Error>(Loaded::new("body".to_owned()).etag("\"v1\"").ttl(minutes(1)).tag("pages"))
    ///     })
    ///     .await?;
    /// assert_eq!(page.expect("present").etag(), Some("\"v1\""));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn get_or_load_with<V, F>(&self, key: impl IntoKey<V>, load: F) -> GetOrLoadWith<'_, V, F>
    where
        V: CacheValue,
    {
        GetOrLoadWith { ns: self, key: key.into_key(), load, options: Options::default() }
    }

    /// Runs `load` whatever the tiers hold, stores the value and returns it. Concurrent refreshes of a key share one load.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), but a stale value never takes the place of the error.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    #[inline]
    pub fn refresh<V, F>(&self, key: impl IntoKey<V>, load: F) -> Refresh<'_, V, F>
    where
        V: CacheValue,
    {
        Refresh { ns: self, key: key.into_key(), load, options: Options::default() }
    }
}
