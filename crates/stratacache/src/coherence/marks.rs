//! The marks of tags and namespaces of one lane, bounded.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{ScopeKind, Strength},
    stamp::Seq,
};

use super::sketch::MaxSketch;

#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) seq: Seq,
    pub(super) at: Millis,
}

type Table = HashMap<Scope, Mark, RandomState>;

/// Hard marks of tags may fold into a sketch; those of namespaces and tenants, and soft marks, never do.
#[derive(Default)]
pub(super) struct Marks {
    tags: Table,
    namespaces: Table,
    soft: Table,
    sketch: Option<MaxSketch>,
    cap: usize,
    /// Entries stamped below this are invalid: older marks were forgotten.
    pub(super) floor: Seq,
    /// The highest soft mark; entries above it need not look.
    pub(super) soft_last: Seq,
}

impl Marks {
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, ..Self::default() }
    }

    pub(super) fn set(&mut self, scope: Scope, kind: ScopeKind, strength: Strength, mark: Mark) {
        let table = match (strength, kind) {
            (Strength::Soft, _) => {
                self.soft_last = self.soft_last.max(mark.seq);
                &mut self.soft
            }
            (Strength::Hard, ScopeKind::Namespace) => &mut self.namespaces,
            (Strength::Hard, ScopeKind::Tag | ScopeKind::Key) => &mut self.tags,
        };
        table.insert(scope, mark);
        if self.tags.len() > self.cap {
            self.fold();
        }
        if self.soft.len() > self.cap {
            // too many soft marks: they harden, so that nothing they expired can pass for fresh
            self.harden();
        }
    }

    /// Moves every tag mark into the sketch: later look-ups may err, but only towards invalid.
    fn fold(&mut self) {
        let sketch = self.sketch.get_or_insert_with(MaxSketch::new);
        for (scope, mark) in self.tags.drain() {
            sketch.raise(scope, mark.seq);
        }
    }

    fn harden(&mut self) {
        let sketch = self.sketch.get_or_insert_with(MaxSketch::new);
        for (scope, mark) in self.soft.drain() {
            sketch.raise(scope, mark.seq);
        }
    }

    /// Returns the position of the last hard mark of a scope; 0 when there is none.
    pub(super) fn hard(&self, scope: Scope) -> Seq {
        let exact = self.tags.get(&scope).or_else(|| self.namespaces.get(&scope)).map_or(0, |m| m.seq);
        exact.max(self.sketch.as_ref().map_or(0, |s| s.mark(scope)))
    }

    /// Returns the position of the last hard mark of a namespace or tenant; these are never folded.
    pub(super) fn of_namespace(&self, scope: Scope) -> Seq {
        self.namespaces.get(&scope).map_or(0, |mark| mark.seq)
    }

    pub(super) fn soft(&self, scope: Scope) -> Option<Mark> {
        self.soft.get(&scope).copied()
    }

    /// Returns the soft mark of a key. One that has hardened says that the key expired long ago.
    pub(super) fn soft_of_key(&self, key: Scope) -> Option<Mark> {
        let hardened = self.sketch.as_ref().map_or(0, |s| s.mark(key));
        self.soft(key).or_else(|| (hardened > 0).then_some(Mark { seq: hardened, at: 0 }))
    }

    /// Forgets everything; entries stamped below `floor` are invalid from now on.
    pub(super) fn reset(&mut self, floor: Seq) {
        *self = Self { cap: self.cap, floor, ..Self::default() };
    }

    pub(super) fn folds(&self) -> bool {
        self.sketch.is_some()
    }

    /// Forgets marks made before `keep_since`: every entry they concern has ended its life. The floor rises to them, for what
    /// somebody puts back into a tier below.
    pub(super) fn forget(&mut self, keep_since: Millis) {
        let floor = &mut self.floor;
        for table in [&mut self.tags, &mut self.namespaces, &mut self.soft] {
            table.retain(|_, mark| {
                let kept = mark.at >= keep_since;
                if !kept {
                    *floor = mark.seq.max(*floor);
                }
                kept
            });
            if table.len() * 4 < table.capacity() {
                table.shrink_to(table.len() * 2);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len() + self.namespaces.len() + self.soft.len()
    }
}
