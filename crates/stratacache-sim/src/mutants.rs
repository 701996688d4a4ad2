//! Rules that a test build can switch off in its nodes.

use stratacache::CacheBuilder;
use stratacache_redis::RedisBuilder;

use crate::faults::Fault;

#[cfg(feature = "mutants")]
mod on {
    use stratacache::{CacheBuilder, Rule};
    use stratacache_redis::{RedisBuilder, Rule as RedisRule};

    /// The engine's rules that matter without a disk.
    const ENGINE: [Rule; 5] =
        [Rule::StampBeforeLoad, Rule::JoinCheck, Rule::JudgeAfterPut, Rule::PromotionKeepsStamp, Rule::RefusedReenters];

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

/// Returns the faults under which the lack of a rule shows soonest; where there is no telling, a mix.
pub(crate) fn faults(rule: &str) -> Vec<Fault> {
    match rule {
        "StampBeforeLoad" | "JoinCheck" | "JudgeAfterPut" | "RefusedReenters" | "PromotionKeepsStamp" => {
            vec![Fault::Delay, Fault::NodeKill]
        }
        "FillNeedsToken" | "RenewOnlyOwn" => vec![Fault::Delay, Fault::NodeStop, Fault::NodeKill],
        "AskBeforeSent" | "AsOfWhenSent" => vec![Fault::Delay, Fault::Throttle],
        "NoticeGap" | "AsOfAtClock" => vec![Fault::Trim, Fault::Tail, Fault::Hang, Fault::LostReply],
        "Incarnation" | "StreamCarriesIncarnation" | "MarksCarryIncarnation" | "HeaderReplid" | "DeleteTogether" => {
            vec![Fault::RedisKillSnapshot, Fault::ControlKey, Fault::Failover, Fault::FlushAll]
        }
        "DataIncarnation" | "SyncWrites" | "ShardWrites" => vec![Fault::Failover, Fault::RedisKillSnapshot],
        "ReplayAfterScan" | "FloorAfterScan" | "DropRaisesFloor" | "DropRaisesKfloor" => {
            vec![Fault::Trim, Fault::Cut, Fault::NodeKill]
        }
        _ => vec![Fault::Two],
    }
}
