//! READ: `get_or_load` from memory, Redis and the source.

use super::{Entry, Incarnation, Lease, LeaseReply, Position, Stamp, Token, Version, World};
use crate::{Rule, Rules};

/// Where a read found its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// In memory.
    Memory,
    /// In Redis.
    Redis,
    /// On the node's disk.
    Disk,
    /// It loaded.
    Load,
}

/// What a read has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It has not begun.
    Idle,
    /// SYNC.
    Synced,
    /// GET: the entry in the reply.
    Got(Option<Entry>),
    /// Stamped.
    Stamped,
    /// LEASE.
    Leased,
    /// Loaded.
    Loaded(Version),
    /// FILL.
    Filled(Entry),
}

/// A caller that reads again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader {
    /// What the present read has done.
    pub step: Step,
    /// Where it lives.
    pub node: u8,
    /// Reads to come.
    pub left: u8,
    /// The oldest version the present read may return.
    pub need: Version,
    /// What the node knew before the load or GET.
    pub stamp: Stamp,
    /// The id of the entry that GET brought.
    pub seen: Token,
    /// The token of its lease.
    pub token: Token,
    /// The history of the shard in the last reply.
    pub dinc: Incarnation,
}

impl Reader {
    /// Makes a caller on a node.
    #[must_use]
    pub fn new(node: u8, left: u8) -> Self {
        Self { step: Step::Idle, node, left, need: 0, stamp: Stamp::default(), seen: 0, token: 0, dinc: 0 }
    }

    /// Ends the present read.
    pub fn end(&mut self) {
        *self = Self::new(self.node, self.left);
    }

    /// Tells whether a load is under way.
    #[must_use]
    pub const fn is_loading(&self) -> bool {
        matches!(self.step, Step::Leased | Step::Loaded(_))
    }
}

impl<const R: usize> World<R> {
    /// Tells whether a reader can take its next step.
    #[must_use]
    pub fn can_read(&self, rules: Rules, i: usize) -> bool {
        match self.readers[i].step {
            Step::Idle => self.readers[i].left > 0,
            Step::Stamped => self.ask_lease(rules, i) != LeaseReply::Busy,
            _ => true,
        }
    }

    /// Tells whether a reader waits for the lease of somebody else.
    #[must_use]
    pub fn waits_for_lease(&self, rules: Rules, i: usize) -> bool {
        self.readers[i].step == Step::Stamped && self.ask_lease(rules, i) == LeaseReply::Busy
    }

    fn ask_lease(&self, rules: Rules, i: usize) -> LeaseReply {
        let reader = &self.readers[i];
        let mirror = &self.nodes[usize::from(reader.node)];
        let newest = Position { incarnation: mirror.incarnation, seq: mirror.tag.max(mirror.key()) };
        self.shard.ask_lease(reader.seen, rules.has(Rule::Takeover).then_some(newest))
    }

    /// A waiter gives up, and loads without a lease.
    pub fn load_without_lease(&mut self, i: usize) {
        self.readers[i].dinc = self.shard.replid;
        self.readers[i].step = Step::Leased;
    }

    /// Takes the next step of a read.
    pub fn read(&mut self, rules: Rules, i: usize) {
        let node = usize::from(self.readers[i].node);
        match self.readers[i].step {
            Step::Idle => {
                self.readers[i].left -= 1;
                self.readers[i].need = self.done;
                self.nodes[node].sync(rules, &self.lane);
                self.readers[i].step = Step::Synced;
            }
            Step::Synced => match self.nodes[node].memory.filter(|entry| self.nodes[node].judge(rules, entry)) {
                Some(entry) => self.finish(i, entry.version, Source::Memory),
                None => {
                    self.readers[i].stamp = self.nodes[node].stamp();
                    self.get(i);
                }
            },
            Step::Got(got) => self.judge_got(rules, i, got),
            Step::Stamped => self.lease(rules, i),
            Step::Leased => self.readers[i].step = Step::Loaded(self.source),
            Step::Loaded(version) => {
                let entry = self.fill(rules, i, version);
                self.readers[i].step = Step::Filled(entry);
            }
            Step::Filled(entry) => {
                self.put(rules, i, entry);
                self.finish(i, entry.version, Source::Load);
            }
        }
    }

    /// GET, with the shard's `replid` in the same pipeline.
    pub fn get(&mut self, i: usize) {
        self.readers[i].dinc = self.shard.replid;
        self.readers[i].step = Step::Got(self.shard.entry);
    }

    /// Judges what GET brought: a hit, or a load that takes its stamp.
    fn judge_got(&mut self, rules: Rules, i: usize, got: Option<Entry>) {
        let (reader, mirror) = (self.readers[i], &self.nodes[usize::from(self.readers[i].node)]);
        let believed = |entry: &Entry| {
            (mirror.judge(rules, entry) || !rules.has(Rule::JudgeLower))
                && (entry.dinc == reader.dinc || !rules.has(Rule::DataIncarnation))
        };
        if let Some(entry) = got.filter(believed) {
            self.put(rules, i, entry);
            return self.finish(i, entry.version, Source::Redis);
        }
        self.readers[i].stamp = mirror.stamp();
        self.readers[i].seen = got.map_or(0, |entry| entry.id);
        self.readers[i].step = Step::Stamped;
    }

    fn lease(&mut self, rules: Rules, i: usize) {
        match self.ask_lease(rules, i) {
            LeaseReply::Busy => {}
            LeaseReply::Hit(entry) => {
                self.readers[i].dinc = self.shard.replid;
                self.readers[i].step = Step::Got(Some(entry));
            }
            LeaseReply::Granted => {
                let reader = &mut self.readers[i];
                let fresh = 1 + i as u8 * 4 + reader.left;
                reader.token = match self.shard.lease {
                    Some(taken) if !rules.has(Rule::TakeoverHasOwnToken) => taken.token,
                    _ => fresh,
                };
                reader.dinc = self.shard.replid;
                reader.step = Step::Leased;
                self.shard.lease = Some(Lease { token: reader.token, stamp: reader.stamp.position });
            }
        }
    }

    /// RENEW, while the load runs.
    pub fn renew(&mut self, rules: Rules, i: usize) {
        let lease = Lease { token: self.readers[i].token, stamp: self.readers[i].stamp.position };
        self.shard.renew(lease, !rules.has(Rule::RenewOnlyOwn));
    }

    /// FILL, where the reader has a token.
    fn fill(&mut self, rules: Rules, i: usize, version: Version) -> Entry {
        let reader = self.readers[i];
        let stamp = match rules.has(Rule::StampBeforeLoad) {
            true => reader.stamp,
            false => self.nodes[usize::from(reader.node)].stamp(),
        };
        self.readers[i].stamp = stamp;
        let id = 1 + i as u8 * 4 + reader.left;
        let entry = Entry { id, version, stamp: stamp.position, own: 0, dinc: reader.dinc, carried: false };
        let leased = reader.token != 0;
        if !leased && rules.has(Rule::LeaselessStaysInMemory) {
            return Entry { id: 0, ..entry };
        }
        let may = !rules.has(Rule::FillNeedsToken)
            || !leased
            || (self.shard.lease.is_none() && !rules.has(Rule::FillRefusesNoLease));
        if !self.shard.fill(reader.token, entry) && may {
            (self.shard.entry, self.shard.lease) = (Some(entry), None);
        }
        entry
    }

    /// Puts a valid entry into the node's memory.
    pub fn put(&mut self, rules: Rules, i: usize, entry: Entry) {
        let reader = self.readers[i];
        let mirror = &mut self.nodes[usize::from(reader.node)];
        if mirror.judge(rules, &entry) && mirror.may_put(rules, reader.stamp) {
            mirror.memory = Some(entry);
        }
    }
}
