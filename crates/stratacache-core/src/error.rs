//! The one error of the data path: a kind to match on, and a message that names the knob or value and what to do.

use std::{error::Error as StdError, fmt, sync::Arc};

/// A `Result` with Strata's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Tells what went wrong, in classes a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value given to a builder, policy, tenant id, key, namespace or tag is not allowed.
    InvalidInput,
    /// A tier did not answer within its deadline.
    Timeout,
    /// A tier or the coordinator cannot be reached, or its breaker is open.
    Unavailable,
    /// A tier has no room for the entry, or its device is full.
    Full,
    /// The reply of a tier was lost: the write may or may not have happened there.
    WriteUnknown,
    /// A value could not be turned into bytes, or bytes into a value.
    Codec,
    /// A quota of the tenant refuses the operation for now.
    Overloaded,
    /// The cache was closed.
    Closed,
    /// Bytes that should be ours are damaged.
    Corrupt,
    /// A counter would leave the range of its type.
    OutOfRange,
    /// Anything else; the message says what.
    Internal,
}

impl ErrorKind {
    /// Tells whether the same call may succeed later without any change.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Overloaded | Self::WriteUnknown | Self::Full)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::Timeout => "timed out",
            Self::Unavailable => "unavailable",
            Self::Full => "full",
            Self::WriteUnknown => "write unknown",
            Self::Codec => "codec",
            Self::Overloaded => "overloaded",
            Self::Closed => "closed",
            Self::Corrupt => "corrupt",
            Self::OutOfRange => "out of range",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Reports a failed operation: its [`ErrorKind`], what it was about, and the cause below it if there is one.
///
/// Neither keys nor values nor credentials are ever part of the text.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind with a message that says what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Makes an [`ErrorKind::InvalidInput`] error.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns the class of the failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message without the kind and the cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Tells whether the same call may succeed later without any change.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.kind).field("message", &self.message);
        if let Some(source) = &self.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}
