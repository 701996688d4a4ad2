//! The rules of the protocol that live in this crate, each of which a test build can switch off to see a test notice.

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// One rule of the protocol, by the name it has in the models.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        #[cfg_attr(not(feature = "mutants"), allow(dead_code, unreachable_pub))]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All of them.
            #[cfg_attr(not(feature = "mutants"), allow(dead_code, unreachable_pub))]
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];
        }
    };
}

rules! {
    /// FILL stores only while the caller's token is in the lease. Off: it always stores.
    FillNeedsToken,
    /// A position that does not follow the applied one is a gap, and the marks are fetched anew. Off: it is skipped.
    NoticeGap,
    /// Another history of a lane is taken over by a new snapshot. Off: histories are not told apart.
    Incarnation,
    /// An entry belongs to the history of the store that holds it. Off: a store that went back in time is believed.
    DataIncarnation,
    /// SYNC contains a write, which a demoted primary refuses. Off: it only reads.
    SyncWrites,
    /// A lane is up to date as of when the SYNC was sent. Off: as of when its reply came.
    AsOfWhenSent,
    /// A lane is up to date only when the SYNC ended at the clock. Off: also when there was more to fetch.
    AsOfAtClock,
    /// A SYNC serves those who asked before it was sent. Off: those who ask while it is under way, too.
    AskBeforeSent,
    /// What the stream delivers names its incarnation. Off: positions alone are compared.
    StreamCarriesIncarnation,
    /// A snapshot replays the stream from the position read before the marks. Off: it claims the one reached after them.
    ReplayAfterScan,
    /// The floors of a snapshot are those of the header read after the marks. Off: of the one read before.
    FloorAfterScan,
    /// Marks name the incarnation they belong to. Off: only the header does.
    MarksCarryIncarnation,
    /// The header holds the `replid` it was written under. Off: another history on the same keys goes unnoticed.
    HeaderReplid,
    /// A new incarnation deletes marks and stream together. Off: only the header is made anew.
    DeleteTogether,
    /// Dropping a generation of marks raises the floor. Off: dropped marks are forgotten.
    DropRaisesFloor,
    /// Dropping a generation of marks raises the floor of the keys. Off: dropped marks of keys are forgotten.
    DropRaisesKfloor,
    /// Keeping the marks of keys from now on raises their floor to the clock. Off: it only sets the flag.
    FlagRaisesKfloor,
    /// What is sent with a GET contains a write, which an old primary refuses. Off: it only reads.
    ShardWrites,
    /// RENEW does nothing when the token is gone. Off: it makes the lease again.
    RenewOnlyOwn,
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
    pub(crate) fn without(self, rule: Rule) -> Self {
        Self { off: self.off | 1 << rule as u32 }
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
