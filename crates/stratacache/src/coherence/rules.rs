//! The local rules of coherence, each of which a test build can switch off to see the history checker notice.

/// One rule of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[cfg_attr(not(feature = "mutants"), allow(dead_code, unreachable_pub))]
pub enum Rule {
    /// The stamp of a load is taken before the loader runs.
    StampBeforeLoad = 0,
    /// A reader joins a flight only if nothing it depends on was invalidated since the flight's stamp.
    JoinCheck = 1,
    /// An entry is judged again after it entered the memory map.
    JudgeAfterPut = 2,
    /// Marks are appended to the journal before their position is published.
    PersistMarks = 3,
    /// A promoted entry keeps the stamp of its load.
    PromotionKeepsStamp = 4,
    /// A waiter judges what it gets by everything it depends on, and re-enters if it is refused.
    RefusedReenters = 5,
    /// What was loaded before an invalidation that waits is not served by the node that it was asked of.
    Quarantine = 6,
    /// A write that waited is made under the fence it came with.
    BehindKeepsFence = 7,
    /// What a tier without fences returns is judged by the marks of its key.
    KeyMarksBelow = 8,
}

/// The rules in force: all of them, except in builds with the test-only feature `mutants`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    #[cfg(feature = "mutants")]
    off: u32,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        #[cfg(feature = "mutants")]
        off: 0,
    };

    #[cfg(feature = "mutants")]
    pub(crate) fn without(rule: Rule) -> Self {
        Self { off: 1 << rule as u32 }
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn has(self, rule: Rule) -> bool {
        self.off & (1 << rule as u32) == 0
    }

    #[cfg(not(feature = "mutants"))]
    #[inline(always)]
    pub(crate) fn has(self, _: Rule) -> bool {
        true
    }
}
