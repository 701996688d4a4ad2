//! What is promised of changes, kept beside the protocol: no step looks at it.

/// A set of changes. A value is the set of those that are in it.
pub(super) type Changes = u8;

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    /// A value was stored without a change that was acknowledged.
    Lost,
    /// A change was made of a value that it is in.
    Twice,
    /// A value that was invalidated was returned, or changed, by what began afterwards.
    Revived,
    /// A read returned a value older than a change that was acknowledged before it began.
    Old,
    /// A change was made that was reported as not made.
    Denied,
    /// A change was acknowledged that no reader finds, though nothing came after it.
    Hidden,
}

/// What was promised so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Promises {
    /// Acknowledged, and nothing came since that may lose them.
    kept: Changes,
    /// In a value that was stored at some time.
    stored: Changes,
    /// In values that were invalidated.
    gone: Changes,
    /// Reported as not made.
    denied: Changes,
    /// Nothing holds acknowledged changes: what is below promotes.
    lossy: bool,
    /// The first that was broken.
    pub(super) broken: Option<Broken>,
}

impl Promises {
    /// Begins with a value that is stored already. `lossy`: acknowledged changes may be lost.
    pub(super) fn new(stored: Changes, lossy: bool) -> Self {
        Self { stored, lossy, ..Self::default() }
    }

    fn note(&mut self, broken: bool, what: Broken) {
        if broken {
            self.broken = self.broken.or(Some(what));
        }
    }

    /// What must be in no value that is returned or changed by what begins now.
    pub(super) const fn gone(&self) -> Changes {
        self.gone
    }

    /// What must be in every value that is returned by a read that begins now.
    pub(super) const fn kept(&self) -> Changes {
        self.kept
    }

    /// Everything that was acknowledged may be lost from here on; returns what an invalidation then makes invalid.
    pub(super) const fn may_lose(&mut self) -> Changes {
        self.kept = 0;
        self.stored
    }

    /// An invalidation, or an insert, has returned.
    pub(super) const fn invalidated(&mut self, changes: Changes) {
        self.gone |= changes;
    }

    /// A change of a value was stored; `banned` was gone when it took the right to.
    pub(super) fn store(&mut self, change: Changes, base: Changes, banned: Changes) {
        self.note(base & change != 0, Broken::Twice);
        self.note(base & banned != 0, Broken::Revived);
        self.note(self.denied & change != 0, Broken::Denied);
        self.note(self.kept & !(base | change) != 0, Broken::Lost);
        self.stored |= change;
    }

    /// A change was acknowledged. `beaten`: by an invalidation that came after it.
    pub(super) const fn acknowledge(&mut self, change: Changes, beaten: bool) {
        if !beaten && !self.lossy {
            self.kept |= change;
        }
    }

    /// A change was acknowledged; `found`: readers find it, or something came after it.
    pub(super) fn is_found(&mut self, found: bool) {
        self.note(!found, Broken::Hidden);
    }

    /// A change was reported as not made.
    pub(super) fn deny(&mut self, change: Changes) {
        self.note(self.stored & change != 0, Broken::Denied);
        self.denied |= change;
    }

    /// A read returned a value. It began when `kept` was promised, and `banned` was gone.
    pub(super) fn returned(&mut self, value: Changes, kept: Changes, banned: Changes) {
        self.note(value & banned != 0, Broken::Revived);
        self.note(kept & self.kept & !value != 0, Broken::Old);
    }
}
