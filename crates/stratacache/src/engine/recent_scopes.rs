//! The scopes of the tags used lately in a namespace: entries with the same tags share one block.

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use stratacache_core::{Scope, Tag};

use crate::memory::EntryScopes;

/// So many lists of tags are remembered; most code writes a few in each namespace.
const REMEMBERED: usize = 8;

struct Recent {
    /// The tags as they were given; empty for those that came from a tier below.
    tags: SmallVec<[Tag; 1]>,
    scopes: Arc<EntryScopes>,
}

/// A few blocks of scopes. The oldest makes room.
#[derive(Default)]
pub(super) struct RecentScopes(Mutex<Vec<Recent>>);

impl RecentScopes {
    /// Returns the scopes of these tags, made by `make` if they are not among the last.
    pub(super) fn of_tags<'t>(
        &self,
        tags: impl Iterator<Item = &'t Tag> + Clone,
        make: impl FnOnce() -> EntryScopes,
    ) -> Arc<EntryScopes> {
        if let Some(known) = self.find(|recent| recent.tags.iter().eq(tags.clone())) {
            return known;
        }
        self.remember(tags.cloned().collect(), make())
    }

    /// Returns the scopes of an entry that came with its scopes.
    pub(super) fn of_scopes(
        &self,
        tags: &[Scope],
        global_tags: &[Scope],
        make: impl FnOnce() -> EntryScopes,
    ) -> Arc<EntryScopes> {
        let same = |recent: &Recent| *recent.scopes.tags() == *tags && *recent.scopes.global_tags() == *global_tags;
        self.find(same).unwrap_or_else(|| self.remember(SmallVec::new(), make()))
    }

    fn find(&self, is: impl Fn(&Recent) -> bool) -> Option<Arc<EntryScopes>> {
        self.0.lock().iter().find(|recent| is(recent)).map(|recent| Arc::clone(&recent.scopes))
    }

    fn remember(&self, tags: SmallVec<[Tag; 1]>, scopes: EntryScopes) -> Arc<EntryScopes> {
        let scopes = Arc::new(scopes);
        let mut recent = self.0.lock();
        let oldest = (recent.len() == REMEMBERED).then(|| recent.remove(0));
        recent.push(Recent { tags, scopes: Arc::clone(&scopes) });
        drop(recent);
        drop(oldest);
        scopes
    }
}
