//! Where the keys of a warm-up come from: one after the other, never all at once.

use std::{
    error::Error as StdError,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use stratacache_core::{Error, ErrorKind, Key};

use crate::engine::catching;

/// What the source of the keys said instead of a key.
pub(super) type SourceError = Arc<dyn StdError + Send + Sync>;

type KeyOf<Q, V> = Box<dyn Fn(&Q) -> Key<V> + Send>;

/// The keys, as they were given and as the cache knows them.
pub(crate) struct Keys<Q, V: 'static> {
    stream: Pin<Box<dyn Stream<Item = Result<Q, SourceError>> + Send>>,
    key_of: KeyOf<Q, V>,
}

impl<Q, V> Keys<Q, V> {
    pub(crate) fn of_iter<I>(keys: I, key_of: impl Fn(&Q) -> Key<V> + Send + 'static) -> Self
    where
        I: Iterator<Item = Q> + Send + 'static,
    {
        Self { stream: Box::pin(OfIter(keys)), key_of: Box::new(key_of) }
    }

    pub(crate) fn of_stream<S>(keys: S, key_of: impl Fn(&Q) -> Key<V> + Send + 'static) -> Self
    where
        S: Stream<Item = Q> + Send + 'static,
    {
        Self { stream: Box::pin(OfStream(Box::pin(keys))), key_of: Box::new(key_of) }
    }

    pub(crate) fn of_try_stream<S, X>(keys: S, key_of: impl Fn(&Q) -> Key<V> + Send + 'static) -> Self
    where
        S: Stream<Item = Result<Q, X>> + Send + 'static,
        X: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self { stream: Box::pin(OfTryStream(Box::pin(keys))), key_of: Box::new(key_of) }
    }

    /// Returns how many keys there are, where the source knows.
    pub(super) fn total(&self) -> Option<u64> {
        let (least, most) = self.stream.size_hint();
        most.filter(|most| *most == least).map(|most| most as u64)
    }

    pub(super) fn key_of(&self, key: &Q) -> Key<V> {
        (self.key_of)(key)
    }

    /// Returns the next key; a panic of the source is its failure.
    ///
    /// # Cancel safety
    /// No key is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<Q, SourceError>> {
        let next = poll_fn(|cx| self.stream.as_mut().poll_next(cx));
        catching(next).await.unwrap_or_else(|message| {
            let message = format!("the source of the keys panicked: {message}");
            Some(Err(Arc::new(Error::new(ErrorKind::Internal, message))))
        })
    }
}

struct OfIter<I>(I);

// nothing in it is ever pinned in place
impl<I> Unpin for OfIter<I> {}

impl<I: Iterator> Stream for OfIter<I> {
    type Item = Result<I::Item, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

struct OfStream<S>(Pin<Box<S>>);

impl<S: Stream> Stream for OfStream<S> {
    type Item = Result<S::Item, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx).map(|key| key.map(Ok))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

struct OfTryStream<S>(Pin<Box<S>>);

impl<Q, X, S> Stream for OfTryStream<S>
where
    S: Stream<Item = Result<Q, X>>,
    X: Into<Box<dyn StdError + Send + Sync>>,
{
    type Item = Result<Q, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(next.map(|key| key.map_err(|error| SourceError::from(error.into()))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
