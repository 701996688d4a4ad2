//! How much this node knows of the others' invalidations, and what that lets a read use.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use stratacache_core::{
    Consistency, Error, ErrorKind, OnDisconnect, Policy, Result, Token, clock::Millis, coordinator::Coordinator,
    event::EventKind, stamp::Lane,
};
use tokio::time::timeout;
use tracing::Instrument;

use super::{Door, Engine, Tenant};
use crate::{
    coherence::{Rule, TenantMarks},
    memory::Meta,
    observe::Counter,
};

/// How far a node may be behind where nobody says.
pub(super) const USUAL_BOUND: Duration = Duration::from_secs(1);
/// How long a read that allows the node to be behind waits for it to catch up.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a read may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The node knows of every invalidation that the read must not miss.
    Current,
    /// It may not know: only what this node began to load after this time is new enough. Not at it: an invalidation may
    /// have come between the two within a millisecond.
    OnlyAfter(Millis),
}

impl Standing {
    /// Adds that only what this node began to load after a time is new enough.
    fn only_after(self, time: Millis) -> Self {
        match self {
            Self::OnlyAfter(own) => Self::OnlyAfter(own.max(time)),
            Self::Current => Self::OnlyAfter(time),
        }
    }

    /// Tells whether an entry of memory may be used, as far as it depends on what the node knows.
    pub(super) fn admits(self, meta: &Meta) -> bool {
        match self {
            Self::Current => true,
            Self::OnlyAfter(time) => meta.load_began().is_some_and(|began| began > time),
        }
    }

    /// Tells whether a load that began at this time is new enough to wait for. What it brings may still be older, from a
    /// tier or as a stand-in.
    pub(super) fn admits_load(self, began: Millis) -> bool {
        match self {
            Self::Current => true,
            Self::OnlyAfter(time) => began > time,
        }
    }

    /// Tells whether what tiers below hold can be judged.
    pub(super) fn uses_tiers(self) -> bool {
        self == Self::Current
    }
}

fn ms(duration: Duration) -> Millis {
    duration.as_millis() as Millis
}

/// How far behind the node may be; `None` where that is not a matter of time.
pub(super) fn bound_of(consistency: Consistency) -> Option<Duration> {
    match consistency {
        Consistency::Bounded(bound) => Some(bound),
        Consistency::Latest | Consistency::Since(_) => None,
        _ => Some(USUAL_BOUND),
    }
}

/// Returns a policy for reading what two of them are for: as new as either asks.
pub(crate) fn stricter(one: Policy, other: &Policy) -> Policy {
    let (mine, its) = (one.consistency_mode(), other.consistency_mode());
    let how_new = match (bound_of(mine), bound_of(its)) {
        (Some(mine), Some(its)) => Consistency::Bounded(mine.min(its)),
        _ if mine == its => mine,
        _ => Consistency::Latest,
    };
    let differ = one.on_disconnect_mode() != other.on_disconnect_mode();
    one.consistency(how_new).on_disconnect(if differ { OnDisconnect::Bypass } else { one.on_disconnect_mode() })
}

impl Engine {
    /// Tells whether memory may answer at once, going by the keyspace and the namespace. For caches with a shared
    /// coordinator.
    #[cold] // apart, so that a hit without a shared coordinator pays for one flag
    pub(crate) fn may_answer_at_once(&self, ns: &Door, consistency: Consistency) -> bool {
        self.floor(&ns.tenant).is_none()
            && bound_of(consistency).is_some_and(|bound| self.is_within(&ns.tenant.marks, bound))
    }

    /// Returns the time up to which nothing is served, as long as invalidations of the tenant or of global tags wait.
    pub(super) fn floor(&self, tenant: &Tenant) -> Option<Millis> {
        if !self.rules.has(Rule::Quarantine) {
            return None;
        }
        tenant.floor.get().max(self.queue.floor())
    }

    /// Tells whether the node was up to date not longer ago than `bound`.
    pub(super) fn is_within(&self, marks: &TenantMarks, bound: Duration) -> bool {
        // not the coarse clock: it is behind after the machine slept
        self.timeline.now().saturating_sub(self.mirror.as_of(marks)) <= ms(bound)
    }

    /// Says what a read may use, and brings the mirror up to date where it asks for that and nodes share the coordinator.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when that is not possible and the policy says to fail.
    pub(crate) async fn catch_up(&self, ns: &Door, policy: &Policy) -> Result<Standing> {
        if !self.shared {
            return Ok(Standing::Current);
        }
        let standing = self.ask(ns, policy).await?;
        // at the end: where it is gone by now, the marks are there
        Ok(self.floor(&ns.tenant).map_or(standing, |time| standing.only_after(time)))
    }

    async fn ask(&self, ns: &Door, policy: &Policy) -> Result<Standing> {
        let began = self.timeline.now();
        let consistency = policy.consistency_mode();
        let bound = bound_of(consistency);
        let reached = match (consistency, bound) {
            (Consistency::Since(token), _) if self.has_applied(ns, &token) => return Ok(Standing::Current),
            (_, Some(bound)) if self.is_within(&ns.tenant.marks, bound) => return Ok(Standing::Current),
            (_, None) => self.sync(ns).await,
            (_, Some(_)) => timeout(PATIENCE, self.sync(ns)).await.unwrap_or_else(|_| Err(too_late())),
        };
        self.note_reach(reached.as_ref().err());
        let Err(error) = reached else { return Ok(Standing::Current) };
        if error.kind() == ErrorKind::Closed {
            return Err(error);
        }
        match policy.on_disconnect_mode() {
            OnDisconnect::ServeStale(longest) if self.is_within(&ns.tenant.marks, longest) => Ok(Standing::Current),
            OnDisconnect::Fail => {
                let message = "the node cannot learn of other nodes' invalidations, and on_disconnect says to fail";
                Err(Error::new(ErrorKind::Unavailable, message).with_source(error))
            }
            _ => {
                ns.space.plain().count(Counter::bypasses);
                Ok(Standing::OnlyAfter(began.saturating_sub(bound.map_or(0, ms))))
            }
        }
    }

    /// Reports when the coordinator went away, and when it is back.
    fn note_reach(&self, failure: Option<&Error>) {
        let (away, was_away) = (failure.is_some(), self.disconnected.load(Relaxed));
        if away == was_away || self.disconnected.swap(away, Relaxed) == away {
            return;
        }
        match failure {
            Some(error) => {
                tracing::warn!(%error, "the node cannot learn of other nodes' invalidations");
                self.report(None, EventKind::Disconnected);
            }
            None => self.report(None, EventKind::Reconnected),
        }
    }

    pub(super) async fn sync(&self, ns: &Door) -> Result<()> {
        let span = tracing::debug_span!("strata.sync", tenant = %ns.tenant.id);
        let both = async { tokio::join!(self.coordinator.sync(ns.tenant.lane), self.coordinator.sync(Lane::GLOBAL)) };
        let (own, global) = both.instrument(span).await;
        own.and(global).map(|_| ())
    }

    /// Tells whether the node has applied what gave a token.
    fn has_applied(&self, ns: &Door, token: &Token) -> bool {
        let marks = &ns.tenant.marks;
        let lane = match token.lane() {
            Lane::GLOBAL => &marks.global,
            lane if lane == ns.tenant.lane => &marks.lane,
            _ => return false,
        };
        let position = lane.position();
        token.position().incarnation == position.incarnation && token.position().seq <= position.seq
    }
}

fn too_late() -> Error {
    Error::new(ErrorKind::Timeout, "the coordinator did not answer within 50 ms")
}
