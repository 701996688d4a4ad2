//! What becomes of an invalidation that may wait.

use stratacache_core::{Error, ErrorKind, Result, Token};
use tokio::sync::watch;

/// What became of an invalidation that was asked for with `or_queue()`.
#[derive(Debug, Clone)]
#[must_use = "an invalidation that is only queued is not known to the other nodes yet"]
pub enum Invalidation {
    /// It was ordered, as if `or_queue()` had not been said.
    Applied(Token),
    /// The shared tier or its coordinator could not be reached. This node serves nothing older from now on; no other node
    /// knows of it before it is applied.
    Queued(Queued),
}

impl Invalidation {
    /// Returns the token; `None` when the invalidation was queued.
    #[must_use]
    pub const fn token(&self) -> Option<Token> {
        match self {
            Self::Applied(token) => Some(*token),
            Self::Queued(_) => None,
        }
    }
}

/// What an invalidation that waits ends with; nothing at first.
pub(crate) type Outcome = Option<Result<Token>>;

/// A handle of an invalidation that waits. Dropped, it changes nothing: the invalidation is applied all the same.
#[derive(Debug, Clone)]
pub struct Queued(watch::Receiver<Outcome>);

impl Queued {
    pub(crate) fn new(outcome: watch::Receiver<Outcome>) -> Self {
        Self(outcome)
    }

    /// Waits until the invalidation has been ordered, and returns its token: from then on it holds for every node.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when the cache was closed or dropped before.
    ///
    /// # Cancel safety
    /// May be dropped at any time, and called again.
    pub async fn applied(&self) -> Result<Token> {
        let mut outcome = self.0.clone();
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        ended.unwrap_or_else(|| Err(lost()))
    }

    /// Tells whether it still waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.borrow().is_none() && self.0.has_changed().is_ok()
    }
}

pub(crate) fn lost() -> Error {
    let message = "the cache was closed before a queued invalidation could be applied; invalidate again, elsewhere";
    Error::new(ErrorKind::Closed, message)
}
