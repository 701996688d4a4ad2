//! What breakers do, carried to whoever wants to know.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::Turn;

type Hear = dyn Fn(Turn) + Send + Sync;

/// Carries the turns of a tier's own breakers to who listens: a cache, for its events and counters.
///
/// Clones are the same. Nothing is kept for who comes later.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering::SeqCst}};
/// use stratacache_core::breaker::{Turn, Turns};
///
/// let (turns, heard) = (Turns::new(), Arc::new(AtomicU32::new(0)));
/// let count = Arc::clone(&heard);
/// let listening = turns.listen(move |_| {
///     count.fetch_add(1, SeqCst);
/// });
/// turns.tell(Turn::Opened);
/// drop(listening);
/// turns.tell(Turn::Closed);
/// assert_eq!(heard.load(SeqCst), 1);
/// ```
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Vec<Weak<Hear>>>>);

impl Turns {
    /// Makes one to which nobody listens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Weak<Hear>>> {
        // nothing in here panics between two changes
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until what is returned is dropped.
    pub fn listen(&self, hear: impl Fn(Turn) + Send + Sync + 'static) -> Listening {
        let hear: Arc<Hear> = Arc::new(hear);
        let mut listeners = self.listeners();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&hear));
        Listening { _hear: hear }
    }

    /// Tells all who listen.
    pub fn tell(&self, turn: Turn) {
        let listeners = self.listeners().clone(); // they run without the lock
        listeners.iter().filter_map(Weak::upgrade).for_each(|hear| hear(turn));
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("listeners", &self.listeners().len()).finish()
    }
}

/// Listens to [`Turns`] as long as it lives.
#[must_use = "nothing is heard any more once it is dropped"]
pub struct Listening {
    _hear: Arc<Hear>,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}
