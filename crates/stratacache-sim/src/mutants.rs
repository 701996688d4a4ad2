//! Rules that a test build can switch off in its nodes.

use stratacache::CacheBuilder;
use stratacache_redis::RedisBuilder;

use crate::{faults::Fault, node::Aim, report::Segment, stage::Ground};

#[cfg(feature = "mutants")]
mod on {
    use stratacache::{CacheBuilder, Rule};
    use stratacache_redis::{RedisBuilder, Rule as RedisRule};

    /// The engine's rules that matter where nodes share a coordinator; `PersistMarks` is about the journal of one that has
    /// none.
    const ENGINE: [Rule; 8] = [
        Rule::StampBeforeLoad,
        Rule::JoinCheck,
        Rule::JudgeAfterPut,
        Rule::PromotionKeepsStamp,
        Rule::RefusedReenters,
        Rule::Quarantine,
        Rule::BehindKeepsFence,
        Rule::KeyMarksBelow,
    ];

    pub(crate) fn names() -> Vec<String> {
        let engine = ENGINE.iter().map(|rule| format!("{rule:?}"));
        engine.chain(RedisRule::ALL.iter().map(|rule| format!("{rule:?}"))).collect()
    }

    pub(crate) fn engine_without(builder: CacheBuilder, rule: Option<&str>) -> CacheBuilder {
        match ENGINE.into_iter().find(|each| rule == Some(&format!("{each:?}"))) {
            Some(rule) => builder.without_rule(rule),
            None => builder,
        }
    }

    pub(crate) fn redis_without(builder: RedisBuilder, rule: Option<&str>) -> RedisBuilder {
        match RedisRule::ALL.iter().find(|each| rule == Some(&format!("{each:?}"))) {
            Some(rule) => builder.without_rule(*rule),
            None => builder,
        }
    }
}

/// Returns the rules that this build can switch off.
pub(crate) fn names() -> Vec<String> {
    #[cfg(feature = "mutants")]
    return on::names();
    #[cfg(not(feature = "mutants"))]
    Vec::new()
}

/// Switches a rule of the engine off.
pub(crate) fn engine_without(builder: CacheBuilder, rule: Option<&str>) -> CacheBuilder {
    #[cfg(feature = "mutants")]
    return on::engine_without(builder, rule);
    #[cfg(not(feature = "mutants"))]
    {
        let _ = rule; // refused by the command line
        builder
    }
}

/// Switches a rule of the Redis tier and coordinator off.
pub(crate) fn redis_without(builder: RedisBuilder, rule: Option<&str>) -> RedisBuilder {
    #[cfg(feature = "mutants")]
    return on::redis_without(builder, rule);
    #[cfg(not(feature = "mutants"))]
    {
        let _ = rule;
        builder
    }
}

/// Those of the short form: each is noticed in seconds.
pub(crate) const HANDFUL: [&str; 3] = ["StampBeforeLoad", "JudgeAfterPut", "Incarnation"];

/// How a rule is hunted: under which faults its lack shows soonest, on which stage, and within how many operations it must.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hunt {
    pub(crate) faults: &'static [Fault],
    /// Operations within which it must be noticed.
    pub(crate) most: u64,
    pub(crate) ground: Ground,
    /// Whether marks are few; by the seed unless that is said.
    pub(crate) few_marks: Option<bool>,
    /// Connections of a node that carry commands.
    pub(crate) connections: usize,
    /// Nodes have disks.
    pub(crate) disks: bool,
    /// What there is more of than usual.
    pub(crate) aim: Aim,
    /// Answers stay right; what is noticed is that the hit rate does not come back.
    pub(crate) by_recovery: bool,
    /// Why the campaign does not meet what the rule prevents: it is hunted only when it is named.
    pub(crate) elsewhere: Option<&'static str>,
}

impl Hunt {
    const fn of(faults: &'static [Fault], most: u64) -> Self {
        Self {
            faults,
            most,
            ground: Ground::Server,
            few_marks: None,
            connections: 1,
            disks: false,
            aim: Aim::Usual,
            by_recovery: false,
            elsewhere: None,
        }
    }

    /// Tells whether the lack of the rule was noticed in a run.
    pub(crate) fn is_caught(&self, run: &Segment) -> bool {
        run.is_noticed() || (self.by_recovery && run.is_slow_to_recover())
    }

    const fn with_marks(self, few: bool) -> Self {
        Self { few_marks: Some(few), ..self }
    }

    const fn on_cluster(self) -> Self {
        Self { ground: Ground::Cluster, ..self }
    }

    const fn on_store(self) -> Self {
        Self { ground: Ground::Store, ..self }
    }

    const fn aimed(self, aim: Aim) -> Self {
        Self { aim, ..self }
    }
}

/// Returns how a rule is hunted: the one table that says what must be noticed, under which faults, within how many operations.
pub(crate) fn hunt(rule: &str) -> Hunt {
    use Fault as F;
    const LOCAL: &[Fault] = &[F::Delay, F::NodeKill];
    match rule {
        "StampBeforeLoad" | "JoinCheck" | "JudgeAfterPut" => Hunt::of(LOCAL, 200_000),
        "RefusedReenters" => Hunt::of(LOCAL, 500_000),
        "Quarantine" => Hunt::of(&[F::Hang, F::RedisStop, F::Refuse], 500_000),
        "BehindKeepsFence" => Hunt {
            elsewhere: Some(
                "with an object store every node knows the mark of the key that the late write was overtaken by",
            ),
            ..Hunt::of(&[F::Delay, F::StoreSlow], 1_000_000).on_store()
        },
        "KeyMarksBelow" => Hunt::of(&[F::StoreReplay], 200_000).on_store().aimed(Aim::Objects),
        "PromotionKeepsStamp" => Hunt::of(&[F::Delay, F::Missing, F::NodeKill], 3_000_000),
        "FillNeedsToken" => Hunt::of(&[F::LateFill], 1_500_000).aimed(Aim::LongLoads),
        "NoticeGap" => Hunt::of(&[F::Missing], 200_000),
        "AsOfWhenSent" => Hunt::of(&[F::LateSync], 1_500_000),
        "AsOfAtClock" => Hunt::of(&[F::Flood], 2_000_000).with_marks(false).aimed(Aim::TightBounds),
        "AskBeforeSent" => Hunt::of(&[F::Delay, F::Throttle], 1_000_000),
        "Incarnation" => Hunt::of(&[F::RedisKillSnapshot, F::ControlKey, F::FlushAll], 200_000),
        "HeaderReplid" => Hunt::of(&[F::RedisKillSnapshot, F::Failover], 200_000),
        "SyncWrites" => Hunt::of(&[F::Failover], 500_000),
        "StreamCarriesIncarnation" => Hunt::of(&[F::Histories], 4_000_000).with_marks(false),
        "MarksCarryIncarnation" => Hunt::of(&[F::Forgotten], 500_000).with_marks(false),
        "DeleteTogether" => Hunt { by_recovery: true, ..Hunt::of(&[F::Header], 500_000).with_marks(false) },
        "DataIncarnation" => Hunt::of(&[F::ClusterLag], 500_000).on_cluster(),
        "ShardWrites" => Hunt::of(&[F::ClusterIsolate], 1_500_000).on_cluster().aimed(Aim::Readers),
        "ReplayAfterScan" => Hunt::of(&[F::SlowSnapshot], 1_500_000).with_marks(false),
        "FloorAfterScan" => Hunt {
            connections: 3,
            elsewhere: Some(
                "marks must be dropped between the two steps of a snapshot, and an entry that one of them was about be read by \
                 nobody since but the node that fetched",
            ),
            ..Hunt::of(&[F::SlowSnapshot], 1_000_000).with_marks(true).aimed(Aim::TightBounds)
        },
        "DropRaisesFloor" => Hunt::of(&[F::Dropped], 500_000).with_marks(true),
        "RenewOnlyOwn" => Hunt {
            connections: 3,
            elsewhere: Some(
                "a lease must be fenced, asked for by nobody, renewed and filled before its loader hears of it, and the \
                 entry read by a node that forgot the mark before anybody loads again",
            ),
            ..Hunt::of(&[F::LateFill], 1_000_000).aimed(Aim::LongLoads)
        },
        "DropRaisesKfloor" => Hunt {
            disks: true,
            elsewhere: Some("DropRaisesFloor raises the other floor to the same place, below which nothing is valid"),
            ..Hunt::of(&[F::NodeAway], 1_000_000).with_marks(true)
        },
        "FlagRaisesKfloor" => Hunt {
            disks: true,
            elsewhere: Some("a node sets the flag of a history before it puts anything of that history on its disk"),
            ..Hunt::of(&[F::NodeAway, F::FlushAll], 1_000_000)
        },
        _ => Hunt::of(&[F::Two], 1_000_000),
    }
}

#[cfg(all(test, feature = "mutants"))]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_hunted_under_faults_that_its_stage_knows() {
        for rule in names() {
            let hunt = hunt(&rule);
            let known = Fault::all(hunt.ground);
            assert!(
                !hunt.faults.is_empty() && hunt.faults.iter().all(|fault| known.contains(fault)),
                "{rule}: {hunt:?}"
            );
            assert!(hunt.faults != [Fault::Two], "{rule} has no faults of its own");
        }
    }
}
