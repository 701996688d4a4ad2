//! The scripts. Each works on the keys of one slot, and is one step of the protocol.

use std::sync::Arc;

use crate::rules::{Rule, Rules};

/// One script, as it is sent.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) source: String,
    /// SHA-1 in hexadecimal, by which the server knows it.
    pub(crate) sha: String,
}

impl Script {
    /// Makes one that has no part in the protocol of lanes.
    pub(crate) fn of(source: &str) -> Arc<Self> {
        let source = in_force(source, Rules::ALL);
        let sha = redis::Script::new(&source).get_hash().to_owned();
        Arc::new(Self { source, sha })
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) sync: Arc<Script>,
    pub(crate) flag: Arc<Script>,
    pub(crate) inval: Arc<Script>,
    pub(crate) lease: Arc<Script>,
    pub(crate) take: Arc<Script>,
    pub(crate) renew: Arc<Script>,
    pub(crate) release: Arc<Script>,
    pub(crate) fill: Arc<Script>,
    pub(crate) replid: Arc<Script>,
    pub(crate) sweep: Arc<Script>,
}

const LANE: &str = include_str!("lane.lua");
const SHARD: &str = include_str!("shard.lua");

impl Scripts {
    pub(crate) fn new(rules: Rules) -> Self {
        let script = |head: &str, body: &str| {
            let source = in_force(&[head, body].concat(), rules);
            let sha = redis::Script::new(&source).get_hash().to_owned();
            Arc::new(Script { source, sha })
        };
        Self {
            sync: script(LANE, include_str!("sync.lua")),
            flag: script(LANE, include_str!("flag.lua")),
            inval: script(LANE, include_str!("inval.lua")),
            lease: script(SHARD, include_str!("lease.lua")),
            take: script(SHARD, include_str!("take.lua")),
            renew: script(SHARD, include_str!("renew.lua")),
            release: script("", include_str!("release.lua")),
            fill: script(SHARD, include_str!("fill.lua")),
            replid: script(SHARD, include_str!("replid.lua")),
            sweep: script(SHARD, include_str!("sweep.lua")),
        }
    }
}

/// Leaves out the lines of rules that are switched off, and what only a reader of the sources needs.
fn in_force(source: &str, rules: Rules) -> String {
    let off = |line: &str| {
        let rule = line.split_once("-- rule: ").map(|(_, name)| name.trim());
        rule.is_some_and(|name| Rule::ALL.iter().any(|rule| format!("{rule:?}") == name && !rules.has(*rule)))
    };
    let lines = source.lines().filter(|line| !off(line) && !line.trim_start().starts_with("--"));
    lines.map(|line| line.split_once(" -- ").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_a_script_names_is_a_rule() {
        let scripts = Scripts::new(Rules::ALL);
        assert!(!scripts.sync.source.contains("--"), "comments are not sent");
        let sources = [LANE, SHARD, include_str!("sync.lua"), include_str!("flag.lua"), include_str!("inval.lua")];
        let more = [include_str!("renew.lua"), include_str!("fill.lua"), include_str!("replid.lua")];
        for line in sources.iter().chain(&more).flat_map(|source| source.lines()) {
            if let Some((_, name)) = line.split_once("-- rule: ") {
                assert!(Rule::ALL.iter().any(|rule| format!("{rule:?}") == name), "{name}");
            }
        }
    }
}
