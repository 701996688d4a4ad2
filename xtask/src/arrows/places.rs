//! What may be done only in one place: starting tasks, reading clocks, reading the environment.

use super::Context;
use crate::Finding;

/// Crates that are libraries: what users build their programs from.
pub(super) const LIBRARIES: &[&str] = &[
    "stratacache-core",
    "stratacache",
    "stratacache-redis",
    "stratacache-disk",
    "stratacache-object",
    "stratacache-postgres",
    "stratacache-encryption",
    "stratacache-http",
    "stratacache-macros",
    "stratacache-testkit",
];

/// Checks where tasks are started and where clocks and the environment are read.
pub(super) fn check(context: &Context<'_>, found: &mut Vec<Finding>) {
    let source = context.source;
    let library = LIBRARIES.contains(&source.package.as_str());
    // a handle may only be asked whether there is a runtime
    let spawns = [".spawn(", ".spawn_blocking(", ".spawn_local("].iter().any(|call| context.code.contains(call));
    let measures = source.package == "stratacache-bench" || source.path.starts_with("examples/");
    for mention in &context.mentions {
        let path = context.imports.resolve(&mention.path);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let shown = path.join("::");
        if library && starts_a_task(&path, spawns) && !source.is_in("spawn") {
            let message = format!("`{shown}`: tasks are started in a module named `spawn`, which counts them");
            found.push(context.finding(mention.line, "spawn", message));
        }
        if !measures && reads_a_clock(&path) && !source.is_in("clock") {
            let message = format!("`{shown}`: time is read in a module named `clock`; take a `Clock`");
            found.push(context.finding(mention.line, "clock", message));
        }
        if library && matches!(path[..], ["std", "env", ..] | ["env", _, ..]) {
            let message = format!("`{shown}`: a library takes its settings as arguments, never from the environment");
            found.push(context.finding(mention.line, "environment", message));
        }
    }
}

fn starts_a_task(path: &[&str], file_spawns: bool) -> bool {
    const STARTERS: [&str; 3] = ["spawn", "spawn_blocking", "spawn_local"];
    const SETS: [&str; 2] = ["JoinSet", "LocalSet"];
    const RUNTIMES: [&str; 3] = ["Handle", "Runtime", "Builder"];
    match path {
        ["tokio" | "task", .., last] if STARTERS.contains(last) => true,
        ["tokio", "task", set, ..] | ["task", set, _, ..] => SETS.contains(set),
        ["tokio", "runtime", runtime, ..] | ["runtime", runtime, _, ..] => file_spawns && RUNTIMES.contains(runtime),
        _ => false,
    }
}

fn reads_a_clock(path: &[&str]) -> bool {
    matches!(path, [.., "Instant" | "SystemTime", "now"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(package: &str, path: &str, text: &str) -> Vec<usize> {
        super::super::try_rule(package, path, text, check)
    }

    #[test]
    fn tasks_start_only_in_spawn() {
        for text in [
            "fn a() { tokio::spawn(b) }",
            "use tokio::spawn;",
            "use tokio::task::{JoinHandle, spawn_blocking};",
            "use tokio::task as t;\nfn a() { t::spawn_blocking(b) }",
            "use tokio::{task};\nfn a() { task::spawn(b) }",
            "fn a() { tokio::runtime::Handle::current().spawn(b) }",
            "use tokio::task::JoinSet;",
        ] {
            assert_eq!(lines("stratacache", "src/engine/read.rs", text).len(), 1, "{text}");
            assert_eq!(lines("stratacache", "src/spawn.rs", text), [0; 0], "{text}");
            assert_eq!(lines("stratacache", "tests/a.rs", text), [0; 0], "{text}");
            assert_eq!(lines("stratacache-cli", "src/main.rs", text), [0; 0], "{text}");
        }
        for text in [
            "use crate::spawn::Tasks; fn a(t: Tasks) { t.spawn(b) }",
            "use tokio::task::JoinHandle;",
            "use tokio::runtime::Handle; fn a() { Handle::try_current().is_ok() }",
        ] {
            assert_eq!(lines("stratacache", "src/engine/read.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn clocks_are_read_only_in_clock() {
        for text in [
            "fn a() { std::time::Instant::now() }",
            "use std::time::Instant;\nfn a() { b.get_or_init(Instant::now) }",
            "use std::time::SystemTime as S;\nfn a() { S::now() }",
            "fn a() { tokio::time::Instant::now() }",
        ] {
            assert_eq!(lines("stratacache-disk", "src/a.rs", text).len(), 1, "{text}");
            for fine in ["src/clock.rs", "src/clock/system.rs", "tests/a.rs", "benches/a.rs", "examples/a.rs"] {
                assert_eq!(lines("stratacache-disk", fine, text), [0; 0], "{text}");
            }
            assert_eq!(lines("stratacache-bench", "src/main.rs", text), [0; 0], "{text}");
        }
        assert_eq!(lines("stratacache-disk", "src/a.rs", "fn a(c: &dyn Clock) { c.now() }"), [0; 0]);
    }

    #[test]
    fn libraries_do_not_read_the_environment() {
        for text in ["use std::env;", "fn a() { std::env::var(b) }", "fn a() { env::var(b) }"] {
            assert_eq!(lines("stratacache", "src/cache/mod.rs", text), [1], "{text}");
        }
        assert_eq!(lines("stratacache-bench", "src/main.rs", "use std::env;"), [0; 0]);
        assert_eq!(lines("stratacache", "src/cache/mod.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");"), [0; 0]);
    }
}
