//! Which room of the crate `stratacache` may name which.

use std::collections::BTreeMap;

use super::Context;
use crate::{
    Finding,
    scan::{Imports, Mention, MentionKind, Source, mentions},
};

const RULE: &str = "rooms";
const CRATE: &str = "stratacache";

/// The rooms and their floors. A room names those on lower floors and its own, but a leaf never names another leaf.
const ROOMS: &[(&str, u8)] = &[
    ("otlp", 6),
    // made of what the namespace offers
    ("resource", 6),
    ("cache", 5),
    ("namespace", 5),
    ("op", 4),
    ("engine", 3),
    // what a caller holds: made of the parts of leaves
    ("cached", 2),
    ("loaded", 2),
    ("value", 2),
    ("memory", LEAF),
    ("flight", LEAF),
    ("coherence", LEAF),
    ("codec", LEAF),
    ("guard", LEAF),
    ("loaders", LEAF),
    ("observe", LEAF),
    // the ground: names nothing above
    ("invalidation", 0),
    ("load_error", 0),
    ("macro_support", 0),
    ("guide", 0),
    ("spawn", 0),
    ("sync", 0),
];
const LEAF: u8 = 1;

/// Tier crates and clients, which only `lib.rs` may name (it re-exports them behind features).
const CONCRETE: &[&str] = &[
    "stratacache_redis",
    "stratacache_disk",
    "stratacache_encryption",
    "stratacache_object",
    "stratacache_postgres",
    "redis",
    "fjall",
    "object_store",
    "tokio_postgres",
    "aws_lc_rs",
];

fn floor(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Returns what the names that `lib.rs` brings to the root of the crate stand for.
pub(super) fn root_names(sources: &[Source]) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    for source in sources.iter().filter(|source| source.in_src.as_deref() == Some("lib.rs")) {
        for mention in mentions(&source.shipped()).iter().filter(|mention| mention.inside.is_empty()) {
            if let MentionKind::Use { name: Some(name), .. } = &mention.kind {
                let path = mention.path.iter().skip_while(|part| matches!(part.as_str(), "crate" | "self"));
                names.insert(name.clone(), path.cloned().collect());
            }
        }
    }
    names
}

/// Checks the arrows between rooms.
pub(super) fn check(context: &Context<'_>, roots: &BTreeMap<String, Vec<String>>, found: &mut Vec<Finding>) {
    let source = context.source;
    if source.package != CRATE || source.in_src.is_none() || source.is_test {
        return;
    }
    let Some(room) = source.room() else { return };
    let Some(own) = floor(&room) else {
        let message = format!("room `{room}` is not on the floor plan: add it to ARCHITECTURE.md and to this rule");
        found.push(context.finding(0, RULE, message));
        return;
    };
    for mention in &context.mentions {
        let path = context.imports.resolve(&mention.path);
        if let Some(first) = path.first().filter(|first| CONCRETE.contains(&first.as_str())) {
            let message = format!("`{room}` names `{first}`; rooms know the contracts of core, never a concrete tier");
            found.push(context.finding(mention.line, RULE, message));
        }
        match target(&source.module(), mention, &context.imports, roots) {
            Target::Elsewhere => {}
            Target::WholeRoot => {
                let message = "imports the root of the crate under another name or with `*`: name the room";
                found.push(context.finding(mention.line, RULE, message));
            }
            Target::Room(other) => {
                if let Some(why) = refused(&room, own, &other) {
                    found.push(context.finding(mention.line, RULE, why));
                }
            }
        }
    }
}

fn refused(room: &str, own: u8, other: &str) -> Option<String> {
    let theirs = floor(other)?;
    if room == other || theirs < own || (theirs == own && own != LEAF) {
        return None;
    }
    Some(match (own, theirs) {
        (LEAF, LEAF) => format!("leaf `{room}` names leaf `{other}`: leaves meet in `engine`"),
        _ => format!(
            "`{room}` names `{other}`, which is above it: lib -> resource -> cache, namespace -> op -> engine -> leaves"
        ),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Target {
    Room(String),
    WholeRoot,
    Elsewhere,
}

/// Finds the room that a path leads to from a module.
fn target(module: &[String], mention: &Mention, imports: &Imports, roots: &BTreeMap<String, Vec<String>>) -> Target {
    let path = match mention.kind {
        MentionKind::Plain => imports.resolve(&mention.path),
        MentionKind::Use { .. } => mention.path.clone(),
    };
    let mut base: Vec<String> = match path.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("self" | "super") => module.iter().chain(&mention.inside).cloned().collect(),
        _ => return Target::Elsewhere,
    };
    let mut rest = &path[..];
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" | "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = after;
    }
    base.extend_from_slice(rest);
    match base.first().map(|first| roots.get(first).map_or(first, |full| full.first().unwrap_or(first))) {
        Some(room) => Target::Room(room.clone()),
        None if matches!(mention.kind, MentionKind::Use { .. }) => Target::WholeRoot,
        None => Target::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str =
        "mod memory; pub use memory::Weight; pub use self::engine::{Engine as Motor}; pub use stratacache_core::Key;";

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let lib = Source::new(CRATE, "crates/stratacache", "crates/stratacache/src/lib.rs", LIB.to_owned());
        let roots = root_names(&[lib]);
        super::super::try_rule(CRATE, path, text, |context, found| check(context, &roots, found))
    }

    #[test]
    fn leaves_never_name_each_other() {
        for text in [
            "use crate::memory::A;",
            "use crate::{observe::B, flight::{C}};",
            "use super::super::memory;",
            "fn a() { crate::memory::b() }",
            "fn a() { super::super::coherence::b() }",
            "pub(in crate::memory) fn a() {}",
            "use crate::Weight;",
            "fn a(_: crate::Weight) {}",
            "mod inner { use super::super::super::memory::A; }",
            "use crate as all;",
            "use crate::*;",
            "use super::super::*;",
            "macro_rules! m { () => { $crate::memory::A } }",
        ] {
            assert!(!lines("src/guard/breaker.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_leaf_names_itself_core_and_the_ground() {
        for text in [
            "use super::window::A; use crate::guard::B; use self::c::D;",
            "use crate::{spawn::Tasks, load_error::LoadError};",
            "use crate::Key; use stratacache_core::memory;",
            "// crate::memory::A\nconst A: &str = \"crate::memory::A\";",
            "#[cfg(test)] mod tests { use super::*; use crate::memory::A; }",
        ] {
            assert_eq!(lines("src/guard/breaker.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn nobody_names_a_floor_above() {
        for (path, text) in [
            ("src/memory/mod.rs", "use crate::engine::A;"),
            ("src/memory/mod.rs", "use super::op;"),
            ("src/memory/mod.rs", "use crate::Motor;"),
            ("src/engine/read.rs", "use crate::op::Get;"),
            ("src/engine/read.rs", "use crate::cache::Builder;"),
            ("src/op/get.rs", "use crate::namespace::Namespace;"),
            ("src/op/get.rs", "use crate::cache::Cache;"),
            ("src/namespace/mod.rs", "use crate::resource::Resource;"),
            ("src/spawn.rs", "use crate::observe::Counters;"),
            ("src/flight/table.rs", "use crate::cached::Cached;"),
            ("src/cached.rs", "use crate::engine::Engine;"),
        ] {
            assert_eq!(lines(path, text), [1], "{path} {text}");
        }
        for (path, text) in [
            ("src/engine/read.rs", "use crate::{memory::A, flight::B};"),
            ("src/op/get.rs", "use crate::engine::Engine;"),
            ("src/namespace.rs", "use crate::{op::Get, cache::Cache};"),
            ("src/cache/mod.rs", "use crate::{namespace::Namespace, observe::Stats};"),
            ("src/resource/read.rs", "use crate::{namespace::Namespace, op::Get};"),
            ("src/loaded.rs", "use crate::{cached::Cached, memory::Entry};"),
            ("src/spawn.rs", "use crate::sync::Mutex;"),
            ("src/lib.rs", LIB),
        ] {
            assert_eq!(lines(path, text), [0; 0], "{path} {text}");
        }
    }

    #[test]
    fn the_engine_never_names_a_concrete_tier() {
        for text in
            ["use stratacache_disk::Disk;", "fn a(_: fjall::Config) {}", "use redis::Client as A;", "use object_store;"]
        {
            assert_eq!(lines("src/engine/read.rs", text), [1], "{text}");
        }
        assert_eq!(lines("src/lib.rs", "pub use stratacache_disk::Disk;"), [0; 0]);
    }

    #[test]
    fn a_room_is_on_the_plan() {
        assert_eq!(lines("src/helpers.rs", ""), [0]);
    }
}
