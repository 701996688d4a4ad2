//! The source, Redis and two nodes.

use super::{Lane, Mirror, Reader, Shard, Version};
use crate::Rules;

/// The state that the models of nodes and Redis share. `R` readers run `get_or_load`, `Latest` each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World<const R: usize> {
    /// What the source holds.
    pub source: Version,
    /// The newest version whose invalidation or insert has returned `Ok`.
    pub done: Version,
    /// The lane of the tenant.
    pub lane: Lane,
    /// The data keys of the entry.
    pub shard: Shard,
    /// The mirrors of the nodes.
    pub nodes: [Mirror; 2],
    /// The reads under way.
    pub readers: [Reader; R],
    /// A read returned what it must not return.
    pub violated: bool,
    /// Where the last read after an invalidation found its value.
    pub from: Option<super::Source>,
}

impl<const R: usize> World<R> {
    /// Makes the beginning: nothing is cached. Reader `i` lives on node `on[i]` and reads `reads` times.
    #[must_use]
    pub fn new(rules: Rules, on: [usize; R], reads: u8) -> Self {
        let lane = Lane::new(1);
        Self {
            source: 1,
            done: 1,
            lane,
            shard: Shard::new(),
            nodes: [Mirror::new(rules, &lane); 2],
            readers: on.map(|node| Reader::new(node as u8, reads)),
            violated: false,
            from: None,
        }
    }

    /// Applies the next message on a node.
    pub fn deliver(&mut self, rules: Rules, node: usize) {
        self.nodes[node].tail(rules, &self.lane);
    }

    /// Returns the nodes with something to apply.
    pub fn behind(&self, rules: Rules) -> impl Iterator<Item = usize> {
        (0..2).filter(move |node| self.nodes[*node].is_behind(rules, &self.lane))
    }

    /// Restarts a node: it takes a snapshot before it serves, and its reads are gone.
    pub fn restart(&mut self, rules: Rules, node: usize) {
        self.nodes[node].snapshot(rules, &self.lane);
        for reader in self.readers.iter_mut().filter(|reader| usize::from(reader.node) == node) {
            reader.end();
        }
    }

    /// Ends a read with a value.
    pub fn finish(&mut self, reader: usize, version: Version, from: super::Source) {
        self.violated |= version < self.readers[reader].need;
        self.from = (self.done > 1).then_some(from);
        self.readers[reader].end();
    }

    /// Forgets messages that everybody has applied.
    pub fn forget(&mut self) {
        let applied = |mirror: &Mirror| if mirror.incarnation == self.lane.incarnation { mirror.applied } else { 0 };
        let everybody = self.nodes.iter().map(applied).min().unwrap_or(0);
        self.lane.forget(everybody.min(self.lane.clk));
    }
}
