//! The rules of the protocol, each of which an exploration can do without.

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// One rule of the protocol. The first word of the docs of a rule is its paragraph in the design.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];
        }
    };
}

rules! {
    /// READ: the stamp of a load is the position applied *before* the load. Off: the position applied when it is stored.
    StampBeforeLoad,
    /// WRITES: FILL stores only while the caller's token is in the lease. Off: it always stores.
    FillNeedsToken,
    /// MIRROR: recent marks of keys are remembered. Off: a key mark only removes the entry from memory.
    KeyMarks,
    /// READ: what GET returns is judged by the marks. Off: it is believed.
    JudgeLower,
    /// TAIL: a position that does not follow the applied one is a gap, and the marks are fetched anew. Off: it is skipped.
    NoticeGap,
    /// LOSS: another history of the lane has another incarnation, and entries of the old one are invalid. Off: histories
    /// are not told apart.
    Incarnation,
    /// READ: an entry belongs to the history of the data shard that holds it. Off: a shard that went back in time is
    /// believed.
    DataIncarnation,
    /// MEMORY: an entry is put only if there was no discontinuity since its stamp. Off: marks alone decide.
    PutAfterSameMep,
    /// MEMORY: a load or GET that began below the mirror's kfloor is not put. Off: forgotten key marks are no obstacle.
    PutAboveKfloor,
    /// INVALIDATE: DEL_FENCE comes before the mark. Off: the mark comes first.
    FenceBeforeMark,
    /// READ: RENEW does nothing when the token is gone. Off: it makes the lease again.
    RenewOnlyOwn,
    /// READ: FILL does nothing when there is no lease at all. Off: no lease is as good as one's own.
    FillRefusesNoLease,
    /// WRITES: a load without a lease goes to memory only. Off: it is stored below too.
    LeaselessStaysInMemory,
    /// READ: who takes a lease over gets a token of its own. Off: it goes on under the old one.
    TakeoverHasOwnToken,
    /// READ: who knows a mark newer than a lease takes it over. Off: it waits for the lease to end.
    Takeover,
    /// FLIGHT: only a flight with no newer mark is joined. Off: any flight is.
    JudgeJoin,
    /// FLIGHT: a result is judged again when the flight lands. Off: the judgement at joining is enough.
    JudgeLanding,
    /// FLIGHT: a flight that began below the mirror's kfloor is not joined, and its result is not taken. Off: marks of the
    /// key that were forgotten are taken for none.
    JoinAboveKfloor,
    /// FLIGHT: a discontinuity orphans flights. Off: only marks separate a reader from a flight.
    OrphanFlights,
    /// FLIGHT: a refused waiter re-enters only onto a flight at least as new as its own start, in the same unbroken
    /// history or in a later one. Off: positions are compared whatever history they are of.
    ReenterSameHistory,
    /// FLIGHT: the flight a refused waiter re-enters is at least as new as the waiter's start. Off: any flight is.
    ReenterNotOlder,
    /// FLIGHT: who is refused puts its own flight in the place of the one it found. Off: that one is found again.
    TableHoldsNewest,
    /// FLIGHT: a waiter re-enters at most once, and then takes what it gets. Off: it judges and re-enters without end.
    ReenterOnce,
    /// FLIGHT: a flight captures the position of the lane of global tags too. Off: only the tenant's lane.
    CaptureGlobal,
    /// LEADER: a dropped leader's guard lands its flight. Off: its waiters wait for nobody.
    DropGuard,
    /// LEADER: a flight is removed only by its owner. Off: whoever goes away removes what is under the key.
    OwnerRemoves,
    /// INSERT: the stamp is taken before the source is written. Off: after it.
    StampBeforeSource,
    /// INSERT: tags are judged by the stamp. Off: by the insert's own position.
    TagsByStamp,
    /// INSERT: the key is judged by the insert's own position. Off: by the stamp.
    KeyByOwn,
    /// INSERT: nothing is stored where another mark of the key lies between the stamp and the own position. Off: it is.
    RefuseOvertaken,
    /// INSERT: the mirror has applied the own position before that is judged. Off: it judges by what it happens to know.
    SyncToOwn,
    /// INSERT: nothing is stored after a discontinuity since the stamp. Off: it is.
    RefuseAfterGap,
    /// INSERT: nothing is stored whose stamp is below the mirror's kfloor. Off: marks of the key that were forgotten are
    /// taken for none.
    InsertAboveKfloor,
    /// BELOW: an entry whose value is older than its token is invalid below the kfloor. Off: it is judged as a load is.
    CarriedFlag,
    /// INSERT: the fence script puts the insert's token in place of the lease. Off: it removes the lease, and the fill
    /// needs none.
    InsertToken,
    /// BELOW: once a persistent tier is open, marks of keys are kept with the others. Off: they are only announced.
    KeyMarksBelow,
    /// LOSS: dropping a generation of marks raises kfloor. Off: dropped marks of keys are forgotten.
    DropRaisesKfloor,
    /// LOSS: dropping a generation of marks raises floor. Off: dropped marks of tags are forgotten.
    DropRaisesFloor,
    /// BELOW: opening the first persistent tier raises kfloor to the clock. Off: it only sets the flag.
    FlagRaisesKfloor,
    /// VALID: evicting marks of keys from the mirror raises its kfloor. Off: they are forgotten.
    EvictRaisesKfloor,
    /// VALID: what is on a disk is judged by the kfloor too. Off: as what was loaded.
    DiskByKfloor,
    /// BELOW: a promoted entry keeps the flag of an entry that is older than its token. Off: it passes for a load.
    PromotionCarries,
    /// BELOW: promotion keeps the stamp. Off: the promoted entry is stamped when it is promoted.
    PromotionKeepsStamp,
    /// WRITES: a promotion into Redis is a FILL under a token. Off: it stores what it was about to store.
    PromotionNeedsToken,
    /// BELOW: what is valid no more is not written to the disk. Off: the disk is written unjudged.
    JudgeBeforeDisk,
    /// TAIL: `as_of` moves only by SYNC. Off: a non-empty dense reply of the stream moves it too.
    AsOfBySync,
    /// TAIL: `as_of` is the time the SYNC was sent. Off: the time its reply came.
    AsOfWhenSent,
    /// READ: a SYNC serves those who asked before it was sent. Off: those who ask while it is under way too.
    AskBeforeSent,
    /// TAIL: `as_of` moves only when the SYNC ended at the clock. Off: also when there was more to fetch.
    AsOfAtClock,
    /// BYPASS: what is loaded while the lane cannot be reached is kept for delta from when its load *began*. Off: from when
    /// it was put.
    BypassFromStart,
    /// READ: SYNC contains a write, which a demoted primary refuses. Off: it only reads.
    SyncWrites,
    /// TAIL: a SYNC that cannot continue from the applied position is a gap. Off: what is missing is not missed.
    SyncNoticesGap,
    /// TAIL: what the stream delivers names its incarnation. Off: positions alone are compared.
    StreamCarriesIncarnation,
    /// TAIL (the option): with the time of the server in each entry, the last one of a dense reply moves `as_of`. Off: the
    /// time the read was sent does.
    EntryTime,
    /// READ: a Bounded read is served without the lane only within delta of `as_of`. Off: whenever it is asked for.
    BoundedByAsOf,
    /// TIME: `as_of` is kept on a clock that runs while the machine is suspended. Off: on one that stops.
    BootTime,
    /// READ: what is sent with a GET contains a write on the data shard, which an old primary refuses. Off: it only asks for
    /// the `replid`.
    ShardWrites,
    /// FAST: applying writes marks before the last mark. Off: after it.
    MarksBeforeLast,
    /// FAST: readers read the last mark before the marks. Off: after them.
    LastBeforeMarks,
    /// FAST: what is noted as validated is the last mark read before the marks. Off: the last mark read again.
    NoteWhatWasRead,
    /// FAST: the tenant's lane and the global one are compared each with its own. Off: one number stands for both.
    PairOfLanes,
    /// MEMORY: until an entry is judged, readers judge it by the marks of its key too. Off: it is served like any other.
    UnjudgedByKey,
    /// MEMORY: an entry is judged again after it entered the map. Off: only before.
    JudgeAfterPut,
    /// MEMORY: applying writes the mark of a key before it removes the entry. Off: after it.
    KeyMarkBeforeRemove,
    /// MEMORY: an entry carries mep, and one of before a discontinuity is invalid. Off: only marks and positions count.
    EntryCarriesMep,
    /// MEMORY: a snapshot raises kfloor and mep before it drops what is in memory. Off: after it.
    KfloorBeforeDrop,
    /// TAIL: a new snapshot replays the stream from the position read before the marks. Off: it claims the position reached
    /// after them.
    ReplayAfterScan,
    /// TAIL: the floors of a snapshot are those of the header read after the marks. Off: of the one read before.
    FloorAfterScan,
    /// TAIL: a snapshot during which the incarnation changed is taken again. Off: it is believed.
    RescanOnIncarnation,
    /// TAIL: a snapshot during which the generation of marks changed is taken again. Off: it is believed.
    RescanOnGeneration,
    /// TAIL: a replay that does not continue without a gap is taken again. Off: it is believed.
    RescanOnGap,
    /// LOSS: marks name the incarnation they belong to. Off: only the header does.
    MarksCarryIncarnation,
    /// LOSS: the header holds the `replid` it was written under. Off: another history on the same keys goes unnoticed.
    HeaderReplid,
    /// LOSS: a new incarnation deletes marks and stream together. Off: only the header is made anew.
    DeleteTogether,
    /// VALID: expired and valid may be served stale, invalid never. Off: what is past its time is served stale unjudged.
    JudgeBeforeStale,
    /// VALID: a soft mark concerns what was stamped before it. Off: it concerns what is stored when it comes.
    SoftByStamp,
    /// UPDATE: a change is read and written under the lease of its key. Off: without one.
    ChangeUnderLease,
    /// UPDATE: a change applies all marks before it takes its stamp and reads. Off: it judges by what it happens to know.
    ChangeSyncs,
    /// UPDATE: a change marks the key before it writes, and the value has the position of the mark. Off: it only writes.
    ChangeMarks,
    /// UPDATE: what is read under the lease is not judged by the marks of its key. Off: as every reader judges it.
    BaseByLease,
    /// UPDATE: where a tier below promotes, what is older than its token is judged by the marks of its key even under the
    /// lease. Off: it is believed.
    PromotedByMarks,
    /// UPDATE: a change is made again where another mark of the key lies between its stamp and its own. Off: it is stored.
    ChangeUndisturbed,
    /// UPDATE: a change whose history ended between its stamp and its mark is made again. Off: it is stored in the new one.
    ChangeSameHistory,
    /// UPDATE: after a lost reply a change looks whether its value is there. Off: it is made again.
    LookAfterLost,
    /// UPDATE: where its value is not there then, what became of it is not known. Off: it is made again.
    UnknownIfNotSeen,
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    off: u128,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self { off: 0 };

    /// Returns all rules but some.
    #[must_use]
    pub fn without(rules: &[Rule]) -> Self {
        Self { off: rules.iter().fold(0, |off, rule| off | 1 << *rule as u32) }
    }

    /// Tells whether a rule is in force.
    #[must_use]
    pub const fn has(self, rule: Rule) -> bool {
        self.off & (1 << rule as u32) == 0
    }
}
