//! Why a value could not be had.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use stratacache_core::Error;

/// Says why `get_or_load` and its relatives have no value.
///
/// All callers that shared a load get the same error; the loader's own comes back as `Arc<E>`. It implements
/// [`std::error::Error`] for every `E` that prints (`Debug + Display`), `anyhow::Error` included, so `?` works.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed.
    Loader(Arc<E>),
    /// The loader took longer than the policy's `load_timeout`, the wait for its turn included.
    Timeout,
    /// The loader panicked; the text is the panic's message if it had one.
    Panicked(Arc<str>),
    /// The tenant's loads are at `max_loads` and those who wait at `max_waiters`.
    Overloaded,
    /// The declared loader of this name has `max_loads` loads under way and `max_queue` waiting.
    LoaderBusy(Arc<str>),
    /// The declared loader failed too often and is left alone for a while; nothing was called.
    LoaderDown(Arc<LeftAlone>),
    /// The last load of this key failed, or of each of many, and they rest for a while (`back_off`); nothing was called.
    BackingOff(Arc<LeftAlone>),
    /// The loader said "not modified", but there was no value to keep.
    NothingToKeep,
    /// The cache was closed before or while the value was loaded, or the runtime shut down.
    Closed,
    /// The node cannot learn of other nodes' invalidations, and the policy says to fail
    /// ([`OnDisconnect::Fail`](crate::OnDisconnect::Fail)).
    Unavailable(Error),
    /// The call itself is not valid: a bad key, tag, namespace or policy.
    Invalid(Error),
}

/// Says which loader was not called, and when it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    loader: Arc<str>,
    retry_in: Duration,
}

impl LeftAlone {
    pub(crate) fn new(loader: &Arc<str>, retry_in: Duration) -> Self {
        Self { loader: Arc::clone(loader), retry_in }
    }

    /// Returns the name of the declared loader.
    #[must_use]
    pub fn loader(&self) -> &str {
        &self.loader
    }

    /// Returns how long to wait before it is worth asking again.
    #[must_use]
    pub fn retry_in(&self) -> Duration {
        self.retry_in
    }
}

impl<E> LoadError<E> {
    /// Tells whether the loader was not called, to protect its source: [`Overloaded`](Self::Overloaded),
    /// [`LoaderBusy`](Self::LoaderBusy), [`LoaderDown`](Self::LoaderDown), [`BackingOff`](Self::BackingOff). What to answer is "try again
    /// later".
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Overloaded | Self::LoaderBusy(_) | Self::LoaderDown(_) | Self::BackingOff(_))
    }

    /// Returns how long to wait before it is worth asking again, where that is known: of [`LoaderDown`](Self::LoaderDown) and
    /// [`BackingOff`](Self::BackingOff).
    #[must_use]
    pub fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::LoaderDown(left) | Self::BackingOff(left) => Some(left.retry_in()),
            _ => None,
        }
    }

    /// Returns the loader's own error.
    #[must_use]
    pub fn loader_error(&self) -> Option<&E> {
        match self {
            Self::Loader(error) => Some(error),
            _ => None,
        }
    }

    /// Tells whether the load took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Makes the error of a read that may not be answered.
    pub(crate) fn not_current(error: Error) -> Self {
        if error.kind() == stratacache_core::ErrorKind::Closed { Self::Closed } else { Self::Unavailable(error) }
    }

    /// Makes the error of a call that is not valid, or that comes after the cache was closed.
    pub(crate) fn not_allowed(error: Error) -> Self {
        if error.kind() == stratacache_core::ErrorKind::Closed { Self::Closed } else { Self::Invalid(error) }
    }

    /// Says the loader's own error in other words.
    pub(crate) fn map_loader<T>(self, words: impl FnOnce(&E) -> T) -> LoadError<T> {
        match self {
            Self::Loader(error) => LoadError::Loader(Arc::new(words(&error))),
            Self::Timeout => LoadError::Timeout,
            Self::Panicked(message) => LoadError::Panicked(message),
            Self::Overloaded => LoadError::Overloaded,
            Self::LoaderBusy(loader) => LoadError::LoaderBusy(loader),
            Self::LoaderDown(left) => LoadError::LoaderDown(left),
            Self::BackingOff(left) => LoadError::BackingOff(left),
            Self::NothingToKeep => LoadError::NothingToKeep,
            Self::Closed => LoadError::Closed,
            Self::Unavailable(error) => LoadError::Unavailable(error),
            Self::Invalid(error) => LoadError::Invalid(error),
        }
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Loader(_) => "the loader failed",
            Self::Timeout => "the loader timed out",
            Self::Panicked(_) => "the loader panicked",
            Self::Overloaded => "too many loads",
            Self::LoaderBusy(_) => "the loader is busy",
            Self::LoaderDown(_) => "the loader is left alone",
            Self::BackingOff(_) => "the key rests after a failure",
            Self::NothingToKeep => "not modified, but nothing to keep",
            Self::Closed => "the cache was closed",
            Self::Unavailable(_) => "other nodes' invalidations cannot be learnt",
            Self::Invalid(_) => "invalid call",
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Loader(error) => Self::Loader(Arc::clone(error)),
            Self::Timeout => Self::Timeout,
            Self::Panicked(message) => Self::Panicked(Arc::clone(message)),
            Self::Overloaded => Self::Overloaded,
            Self::LoaderBusy(loader) => Self::LoaderBusy(Arc::clone(loader)),
            Self::LoaderDown(left) => Self::LoaderDown(Arc::clone(left)),
            Self::BackingOff(left) => Self::BackingOff(Arc::clone(left)),
            Self::NothingToKeep => Self::NothingToKeep,
            Self::Closed => Self::Closed,
            Self::Unavailable(error) => Self::Unavailable(error.clone()),
            Self::Invalid(error) => Self::Invalid(error.clone()),
        }
    }
}

/// Rounds up to milliseconds.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(time.as_nanos().div_ceil(1_000_000) as u64)
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(error) => write!(f, "the loader failed: {error}"),
            Self::Timeout => f.write_str("the loader took longer than load_timeout"),
            Self::Panicked(message) => write!(f, "the loader panicked: {message}"),
            Self::Overloaded => f.write_str(
                "the tenant has max_loads loads under way and max_waiters callers waiting; try again, or raise them",
            ),
            Self::LoaderBusy(loader) => write!(
                f,
                "the loader {loader:?} has max_loads loads under way and max_queue waiting; try again, or raise them"
            ),
            Self::LoaderDown(left) => write!(
                f,
                "the loader {:?} failed too often and is left alone (breaker); try again in {:?}",
                left.loader,
                rounded(left.retry_in)
            ),
            Self::BackingOff(left) => write!(
                f,
                "the key rests after a failed load of the loader {:?} (back_off); try again in {:?}",
                left.loader,
                rounded(left.retry_in)
            ),
            Self::NothingToKeep => f.write_str("the loader said \"not modified\" but the cache holds no value to keep"),
            Self::Closed => f.write_str("the cache is closed"),
            Self::Unavailable(error) | Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unavailable(error) | Self::Invalid(error) => Some(error),
            _ => None,
        }
    }
}
