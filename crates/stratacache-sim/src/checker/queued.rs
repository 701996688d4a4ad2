//! The invalidations that wait on one node.

use std::collections::HashMap;

use crate::{time::Nanos, world::Scope};

/// One that waits, or waited.
#[derive(Debug, Clone, Copy)]
struct Wait {
    called: Nanos,
    from: Nanos,
    /// When it was applied, or the node died.
    to: Nanos,
}

/// In the order of the log.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waits: HashMap<Scope, Vec<Wait>>,
}

impl Waiting {
    /// Notes that one waits from now on.
    pub(super) fn begins(&mut self, scope: Scope, called: Nanos, at: Nanos) {
        self.waits.entry(scope).or_default().push(Wait { called, from: at, to: Nanos::MAX });
    }

    /// Notes that it was applied.
    pub(super) fn ends(&mut self, scope: Scope, called: Nanos, at: Nanos) {
        let Some(waits) = self.waits.get_mut(&scope) else { return };
        waits.iter_mut().rev().filter(|wait| wait.called == called).for_each(|wait| wait.to = at.min(wait.to));
    }

    /// Notes that a life of the node begins, which knows nothing of what waited.
    pub(super) fn dies(&mut self, at: Nanos) {
        let open = |wait: &&mut Wait| wait.from < at && wait.to > at;
        self.waits.values_mut().flatten().filter(open).for_each(|wait| wait.to = at);
    }

    /// Returns, of those that waited at some time, when the one was called that was called last.
    pub(super) fn latest_call(&self, scope: Scope, at: Nanos) -> Option<Nanos> {
        let waits = self.waits.get(&scope)?;
        waits.iter().filter(|wait| wait.from < at && at < wait.to).map(|wait| wait.called).max()
    }
}
