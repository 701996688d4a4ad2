//! A journal that several may put into quarantine: it is restored when the last one agrees.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use parking_lot::Mutex;
use stratacache_core::{
    clock::Millis,
    coordinator::{Applied, JournalSnapshot, MarkJournal},
    stamp::Seq,
    tier::TierError,
};

/// One holder's view of a shared journal.
#[derive(Debug)]
pub(crate) struct JournalHolder {
    journal: Arc<dyn MarkJournal>,
    mine: AtomicBool,
    holding: Arc<Mutex<usize>>,
}

impl JournalHolder {
    /// Makes two holders of one journal.
    pub(crate) fn pair(journal: &Arc<dyn MarkJournal>) -> (Arc<dyn MarkJournal>, Arc<dyn MarkJournal>) {
        let holding = Arc::new(Mutex::new(0));
        let holder = || -> Arc<dyn MarkJournal> {
            let (journal, holding) = (Arc::clone(journal), Arc::clone(&holding));
            Arc::new(Self { journal, mine: AtomicBool::new(false), holding })
        };
        (holder(), holder())
    }
}

impl MarkJournal for JournalHolder {
    fn load(&self) -> Result<JournalSnapshot, TierError> {
        self.journal.load()
    }

    fn reserve(&self, ceiling: Seq) -> Result<(), TierError> {
        self.journal.reserve(ceiling)
    }

    fn append(&self, message: &Applied) -> Result<(), TierError> {
        self.journal.append(message)
    }

    fn tick(&self, now: Millis, keep_since: Millis) -> Result<(), TierError> {
        self.journal.tick(now, keep_since)
    }

    fn quarantine(&self) -> Result<(), TierError> {
        let mut holding = self.holding.lock();
        self.journal.quarantine()?;
        if !self.mine.swap(true, Relaxed) {
            *holding += 1;
        }
        Ok(())
    }

    fn restore(&self) -> Result<(), TierError> {
        let mut holding = self.holding.lock();
        if self.mine.load(Relaxed) {
            if *holding == 1 {
                self.journal.restore()?;
            }
            self.mine.store(false, Relaxed);
            *holding -= 1;
        }
        Ok(())
    }
}
