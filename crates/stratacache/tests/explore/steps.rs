//! Copies of the steps of applying a tag and of judging by it, whose order can be changed.

use stratacache_core::{Scope, coordinator::ScopeKind, coordinator::Strength, stamp::Seq};

use super::{Depends, TenantMarks, Verdict, marks::Mark};

/// The order of the steps of applying a mark of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apply {
    /// Exact marks, filter, count: as the mirror does.
    Right,
    /// The count before the filter.
    LastBeforeFilter,
    /// The filter and the count before the exact marks.
    ExactMarksLast,
}

/// The order of the steps of judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judging {
    /// The count is read before the marks: as the mirror does.
    Right,
    /// The count is read after the marks.
    LastAfterMarks,
}

/// Applies one tag's mark to the tenant's lane.
pub(crate) fn apply_tag(tenant: &TenantMarks, tag: Scope, seq: Seq, order: Apply) {
    tenant.lane.start(seq);
    let exact = || {
        let mark = Mark { seq, at: 1 };
        tenant.lane.marks.write().set(tag, ScopeKind::Tag, Strength::Hard, mark);
    };
    match order {
        Apply::Right => {
            exact();
            tenant.raise(tag, seq);
            tenant.publish();
        }
        Apply::LastBeforeFilter => {
            exact();
            tenant.publish();
            tenant.raise(tag, seq);
        }
        Apply::ExactMarksLast => {
            tenant.raise(tag, seq);
            tenant.publish();
            exact();
        }
    }
    tenant.lane.publish(seq);
}

/// Judges an entry by its tags.
pub(crate) fn judge(tenant: &TenantMarks, entry: &Depends<'_>, order: Judging) -> Verdict {
    let before = tenant.changes();
    if entry.tags.iter().any(|tag| tenant.at_most(*tag) > entry.lane_seq) {
        let marks = tenant.lane.marks.read();
        if entry.tags.iter().any(|tag| marks.hard(*tag) > entry.lane_seq) {
            return Verdict::Invalid;
        }
    }
    let lane = match order {
        Judging::Right => before,
        Judging::LastAfterMarks => tenant.changes(),
    };
    // no global tag takes part
    Verdict::Valid { lane, global: u64::MAX, expired_at: None }
}
