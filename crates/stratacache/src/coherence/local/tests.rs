use stratacache_core::{
    coordinator::{Finding, Marked},
    tier::{TierError, TierErrorKind},
};
use stratacache_testkit::{conformance, tiers::MemoryTier};

use super::*;

fn start(journal: &MemoryTier) -> LocalCoordinator {
    LocalCoordinator::with_journal(Arc::new(journal.journal()), Rules::ALL).expect("the journal works")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_passes_every_clause() {
    conformance::coordinator(async || LocalCoordinator::new(Rules::ALL).expect("there are random bytes")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_with_a_journal_passes_every_clause() {
    conformance::coordinator(async || start(&MemoryTier::new("below").persistent(true))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_coordinator_passes_every_clause_when_it_takes_up_an_old_history() {
    let below = MemoryTier::new("below").persistent(true);
    conformance::coordinator(async || start(&below)).await;
}

/// A journal that takes so many marks as it is told, and remembers their positions.
#[derive(Debug, Default)]
struct Limited {
    takes: AtomicU64,
    taken: Mutex<Vec<Seq>>,
    restored: AtomicU64,
}

impl MarkJournal for Limited {
    fn load(&self) -> Result<JournalSnapshot, TierError> {
        Ok(JournalSnapshot::empty(Incarnation(1)))
    }
    fn reserve(&self, _: Seq) -> Result<(), TierError> {
        Ok(())
    }
    fn append(&self, message: &Applied) -> Result<(), TierError> {
        let takes = self.takes.load(Acquire);
        if takes == 0 {
            return Err(TierError::new(TierErrorKind::Full, "it takes no more"));
        }
        self.takes.store(takes - 1, Relaxed);
        self.taken.lock().push(message.position.seq);
        Ok(())
    }
    fn tick(&self, _: Millis, _: Millis) -> Result<(), TierError> {
        Ok(())
    }
    fn quarantine(&self) -> Result<(), TierError> {
        Ok(())
    }
    fn restore(&self) -> Result<(), TierError> {
        self.restored.fetch_add(1, AcqRel);
        Ok(())
    }
}

struct Deaf;

impl Subscriber for Deaf {
    fn snapshot(&self, _: LaneSnapshot) {}
    fn apply(&self, _: &Applied) {}
    fn up_to_date(&self, _: Lane, _: Millis) {}
    fn answer(&self, _: &Question) -> Option<Finding> {
        None
    }
    fn now(&self) -> Millis {
        0
    }
}

#[tokio::test]
async fn missed_marks_are_made_up_for_in_order_and_each_once_however_often_the_journal_fails() {
    let journal = Arc::new(Limited::default());
    let coordinator = LocalCoordinator::with_journal(journal.clone(), Rules::ALL).expect("the journal works");
    coordinator.subscribe(Arc::new(Deaf)).await.expect("it is the first");
    let scope = stratacache_core::Scope::from_bytes([7; 16]);
    let mut ordered = Vec::new();
    for _ in 0..100 {
        let tag = Marked::new(scope, ScopeKind::Tag, Strength::Hard, 0);
        let position = coordinator.invalidate(Invalidate::new(Lane::GLOBAL, vec![tag], 0)).await;
        ordered.push(position.expect("it is in quarantine").seq);
    }
    for _ in 0..3 {
        journal.takes.store(30, Relaxed);
        coordinator.tick(0, 0).await.expect_err("it takes no more");
    }
    assert_eq!((&*journal.taken.lock(), journal.restored.load(Acquire)), (&ordered[..90].to_vec(), 0));
    journal.takes.store(30, Relaxed);
    coordinator.tick(0, 0).await.expect("the journal takes all");
    assert_eq!((&*journal.taken.lock(), journal.restored.load(Acquire)), (&ordered, 1));
}
