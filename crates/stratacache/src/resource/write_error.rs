//! Why a write did not end well, and what is certain all the same.

use std::{error::Error as StdError, fmt, sync::Arc};

use stratacache_core::Error;

use super::{Scope, Source};

/// Says why a [`save`](super::Resource::save) or [`delete`](super::Resource::delete) failed.
#[non_exhaustive]
pub enum WriteError<S: Source> {
    /// It was not begun: the cache is closed, the namespace is not valid, or the tenant is over its `invalidations_per_s`.
    Refused(Error),
    /// The source failed. If it does not say that it [wrote nothing](super::WritableSource::wrote_nothing), everything of the resource was
    /// invalidated.
    Source(S::Error),
    /// The source panicked; the text is the panic's message if it had one. Everything of the resource was invalidated.
    Panicked(Arc<str>),
    /// The cache was closed, and the source did not end in time: everything of the resource was invalidated. Or the runtime shut down,
    /// and it is not known how far the write came.
    Abandoned,
    /// The source was written, or may have been, and it is not known whether the cache has forgotten what was there before.
    NotForgotten(Box<NotForgotten<S>>),
}

/// A write whose invalidation failed.
///
/// Until its [`scope`](Self::scope) is invalidated, or its entries expire, some node may serve what was there before.
#[non_exhaustive]
pub struct NotForgotten<S: Source> {
    /// Why the invalidation failed.
    pub error: Error,
    /// What is to be invalidated again, as often as need be: it is safe.
    pub scope: Scope<S>,
    /// What the source said: what there is now, or why it failed without saying that it wrote nothing.
    pub outcome: Result<Option<Arc<S::Item>>, WriteError<S>>,
}

impl<S: Source> WriteError<S> {
    pub(super) fn not_forgotten(error: Error, scope: Scope<S>, outcome: Result<Option<Arc<S::Item>>, Self>) -> Self {
        Self::NotForgotten(Box::new(NotForgotten { error, scope, outcome }))
    }

    /// Returns the source's own error.
    #[must_use]
    pub fn source_error(&self) -> Option<&S::Error> {
        match self {
            Self::Source(error) => Some(error),
            Self::NotForgotten(failed) => failed.outcome.as_ref().err()?.source_error(),
            _ => None,
        }
    }

    /// Tells whether the write is in the source for certain.
    #[must_use]
    pub fn is_written(&self) -> bool {
        matches!(self, Self::NotForgotten(failed) if failed.outcome.is_ok())
    }
}

impl<S: Source<Error: fmt::Debug>> fmt::Debug for WriteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Source(error) => f.debug_tuple("Source").field(error).finish(),
            Self::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Self::Abandoned => f.write_str("Abandoned"),
            Self::NotForgotten(failed) => failed.fmt(f),
        }
    }
}

impl<S: Source<Error: fmt::Debug>> fmt::Debug for NotForgotten<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotForgotten")
            .field("error", &self.error)
            .field("scope", &self.scope)
            .field("outcome", &self.outcome.as_ref().map(|item| item.as_ref().map(|_| "..")))
            .finish()
    }
}

impl<S: Source<Error: fmt::Display>> fmt::Display for WriteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "nothing was written: {error}"),
            Self::Source(error) => write!(f, "the source failed: {error}"),
            Self::Panicked(message) => write!(f, "the source panicked: {message}"),
            Self::Abandoned => f.write_str(
                "the cache was closed before the source had written; whether it has is not known. Raise flush_deadline if it needs longer",
            ),
            Self::NotForgotten(failed) => match &failed.outcome {
                Ok(_) => write!(
                    f,
                    "written, but it is not known whether the cache has forgotten what was there before; invalidate the scope of the \
                     error again: {}",
                    failed.error
                ),
                Err(source) => write!(
                    f,
                    "{source}; it may have written all the same, and it is not known whether the cache has forgotten what was there \
                     before; invalidate the scope of the error again: {}",
                    failed.error
                ),
            },
        }
    }
}

impl<S: Source<Error: fmt::Debug + fmt::Display>> StdError for WriteError<S> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::NotForgotten(failed) => Some(&failed.error),
            _ => None,
        }
    }
}
