//! Which crate may depend on which.

use std::collections::BTreeSet;

use super::Context;
use crate::{Finding, workspace::Crate};

const RULE: &str = "crates";

/// What the floor plan says of a crate.
struct Plan {
    name: &'static str,
    /// Crates of ours it may always depend on.
    needs: &'static [&'static str],
    /// Crates of ours it may depend on only optionally.
    offers: &'static [&'static str],
}

const TIERS: &[&str] = &["stratacache-redis", "stratacache-disk", "stratacache-object"];
const CORE: &[&str] = &["stratacache-core"];

const PLANS: &[Plan] = &[
    Plan { name: "stratacache-core", needs: &[], offers: &[] },
    Plan { name: "stratacache-macros", needs: &[], offers: &[] },
    Plan { name: "stratacache-redis", needs: CORE, offers: &[] },
    Plan { name: "stratacache-disk", needs: CORE, offers: &[] },
    Plan { name: "stratacache-object", needs: CORE, offers: &[] },
    Plan { name: "stratacache-encryption", needs: CORE, offers: &[] },
    Plan { name: "stratacache-postgres", needs: CORE, offers: &[] },
    Plan { name: "stratacache-testkit", needs: CORE, offers: &[] },
    Plan { name: "stratacache-model", needs: CORE, offers: &[] },
    Plan {
        name: "stratacache",
        needs: CORE,
        offers: &[
            "stratacache-redis",
            "stratacache-disk",
            "stratacache-object",
            "stratacache-encryption",
            "stratacache-postgres",
            "stratacache-macros",
        ],
    },
    Plan { name: "stratacache-http", needs: &["stratacache"], offers: &[] },
    Plan { name: "stratacache-cli", needs: &["stratacache"], offers: &[] },
    Plan { name: "xtask", needs: &[], offers: &[] },
];

/// Crates that measure or explore and may see everything; nobody depends on them.
const FREE: &[&str] = &["stratacache-bench", "stratacache-sim"];

/// What everybody's tests may use besides.
const FOR_TESTS: &str = "stratacache-testkit";

/// What applications use; a program that shows what happens in an hour takes the simulated clock.
const FOR_EXAMPLES: &[&str] = &["stratacache", "stratacache-http", FOR_TESTS];

/// What core must not need: runtimes and doors to the outside.
const NOT_IN_CORE: &[&str] = &["tokio", "futures", "redis", "fjall", "object_store", "quick_cache", "reqwest", "hyper"];

/// The names of the crates of the workspace.
pub(super) struct Ours {
    all: BTreeSet<String>,
    /// Those that code may name: an example is a program, and modules may be called as it is.
    libraries: BTreeSet<String>,
}

impl Ours {
    pub(super) fn of(crates: &[Crate]) -> Self {
        let names =
            |of: fn(&Crate) -> bool| crates.iter().filter(|each| of(each)).map(|each| each.name.clone()).collect();
        Self { all: names(|_| true), libraries: names(|each| !is_example(&each.folder)) }
    }
}

fn is_example(folder: &str) -> bool {
    folder.starts_with("examples/")
}

/// Returns why a crate may not depend on another of ours, if so.
fn refused(from: &str, folder: &str, to: &str, optional: bool) -> Option<String> {
    if FREE.contains(&from) || folder == "fuzz" {
        return None;
    }
    if is_example(folder) {
        let fine = FOR_EXAMPLES.contains(&to);
        return (!fine).then(|| format!("an example uses {}, as an application does", FOR_EXAMPLES.join(", ")));
    }
    let plan = PLANS.iter().find(|plan| plan.name == from)?;
    match (plan.needs.contains(&to), plan.offers.contains(&to)) {
        (true, _) => None,
        (_, true) if optional => None,
        (_, true) => Some(format!("`{from}` offers `{to}` behind a feature: make it optional")),
        _ if plan.needs.is_empty() => Some(format!("`{from}` depends on no crate of ours")),
        _ if TIERS.contains(&from) => Some(format!("a tier depends on {} and on no other crate of ours", CORE[0])),
        _ => Some(format!("`{from}` may depend on {}", plan.needs.join(", "))),
    }
}

/// Checks the dependencies in a manifest.
pub(super) fn manifest(each: &Crate, ours: &Ours, found: &mut Vec<Finding>) {
    let file = format!("{}/Cargo.toml", each.folder);
    let mut refuse = |message| found.push(Finding { file: file.clone(), line: 0, rule: RULE, message });
    let (name, folder) = (each.name.as_str(), each.folder.as_str());
    let known = PLANS.iter().any(|plan| plan.name == name) || FREE.contains(&name) || !folder.starts_with("crates/");
    if !known {
        refuse(format!("`{name}` is not on the floor plan: add it to ARCHITECTURE.md and to the plans of this rule"));
    }
    if folder.starts_with("crates/") && folder != format!("crates/{name}") {
        refuse(format!("a folder has the name of its crate: `{name}` is in {folder}"));
    }
    for (section, to, optional) in dependencies(&each.manifest) {
        let for_tests = section == "dev-dependencies";
        if ours.all.contains(&to) && to != name && !(for_tests && to == FOR_TESTS) {
            // in tests an optional dependency has no meaning
            if let Some(why) = refused(name, folder, &to, optional || for_tests) {
                refuse(format!("`{to}` in [{section}]: {why}"));
            }
        }
        if name == "stratacache-core" && section == "dependencies" && NOT_IN_CORE.contains(&to.as_str()) {
            refuse(format!("`{to}` in [{section}]: core has no runtime and does no I/O"));
        }
    }
}

/// Lists the dependencies of a manifest: section, package, whether it is optional.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String, bool)> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(|t| t.values().filter_map(toml::Value::as_table)).chain([manifest]);
    let mut found = Vec::new();
    for table in tables {
        for section in SECTIONS {
            for (key, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                let optional = value.get("optional").and_then(toml::Value::as_bool).unwrap_or(false);
                found.push((section, package.to_owned(), optional));
            }
        }
    }
    found
}

/// Checks which crates of ours the shipped code names, and that core does no I/O.
pub(super) fn source(context: &Context<'_>, ours: &Ours, found: &mut Vec<Finding>) {
    let source = context.source;
    let folder = source.path.split('/').take(2).collect::<Vec<_>>().join("/");
    for mention in &context.mentions {
        let path = context.imports.resolve(&mention.path);
        let first = path.first().map_or("", String::as_str);
        let to = first.replace('_', "-");
        if ours.libraries.contains(&to)
            && to != source.package
            && let Some(why) = refused(&source.package, &folder, &to, true)
        {
            found.push(context.finding(mention.line, RULE, format!("names `{first}`: {why}")));
        }
        let second = path.get(1).map_or("", String::as_str);
        let outside = first == "std" && matches!(second, "fs" | "net" | "process" | "thread") || first == "tokio";
        if source.package == "stratacache-core" && outside {
            let message = format!("`{first}::{second}`: core has no runtime and does no I/O");
            found.push(context.finding(mention.line, RULE, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_crate(folder: &str, name: &str, manifest: &str) -> Crate {
        let manifest = manifest.parse().unwrap();
        Crate { name: name.to_owned(), folder: folder.to_owned(), manifest, sources: Vec::new() }
    }

    /// All that the floor plan names, and two examples.
    fn ours() -> Ours {
        let names = PLANS.iter().map(|plan| plan.name).chain(FREE.iter().copied());
        let crates = names.map(|name| a_crate(&format!("crates/{name}"), name, ""));
        let examples = ["crm", "tiers"].map(|name| a_crate(&format!("examples/{name}"), name, ""));
        Ours::of(&crates.chain(examples).collect::<Vec<_>>())
    }

    fn refusals(name: &str, folder: &str, manifest: &str) -> usize {
        let mut found = Vec::new();
        super::manifest(&a_crate(folder, name, manifest), &ours(), &mut found);
        found.len()
    }

    fn in_house(name: &str, manifest: &str) -> usize {
        refusals(name, &format!("crates/{name}"), manifest)
    }

    #[test]
    fn core_needs_none_of_ours_and_no_runtime() {
        assert_eq!(in_house("stratacache-core", "[dependencies]\nstratacache-testkit = {}"), 1);
        assert_eq!(in_house("stratacache-core", "[dependencies]\ntokio = \"1\""), 1);
        assert_eq!(in_house("stratacache-core", "[dependencies]\nbytes = \"1\""), 0);
    }

    #[test]
    fn a_tier_needs_core_only() {
        assert_eq!(in_house("stratacache-disk", "[dependencies]\nstratacache-core = {}"), 0);
        for other in ["stratacache", "stratacache-redis"] {
            for section in ["dependencies", "build-dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"]
            {
                assert_eq!(in_house("stratacache-disk", &format!("[{section}]\n{other} = {{}}")), 1, "{section}");
            }
        }
        assert_eq!(in_house("stratacache-disk", "[dependencies]\nx = { package = \"stratacache\" }"), 1);
        assert_eq!(in_house("stratacache-disk", "[dev-dependencies]\nstratacache-testkit = {}"), 0);
        assert_eq!(in_house("stratacache-disk", "[dependencies]\nstratacache-testkit = {}"), 1);
    }

    #[test]
    fn the_facade_offers_tiers_only_optionally() {
        assert_eq!(in_house("stratacache", "[dependencies]\nstratacache-disk = { optional = true }"), 0);
        assert_eq!(in_house("stratacache", "[dependencies]\nstratacache-disk = {}"), 1);
        assert_eq!(in_house("stratacache", "[dependencies]\nstratacache-http = { optional = true }"), 1);
    }

    #[test]
    fn examples_use_what_applications_use() {
        assert_eq!(refusals("crm", "examples/crm", "[dependencies]\nstratacache-http = {}"), 0);
        assert_eq!(refusals("crm", "examples/crm", "[dependencies]\nstratacache-testkit = {}"), 0);
        assert_eq!(refusals("crm", "examples/crm", "[dependencies]\nstratacache-core = {}"), 1);
    }

    #[test]
    fn nobody_depends_on_an_example_whatever_it_is_called() {
        for example in ["crm", "tiers"] {
            let needs = format!("[dependencies]\n{example} = {{}}");
            assert_eq!(in_house("stratacache", &needs), 1);
            assert_eq!(refusals("other", "examples/other", &needs), 1);
        }
        let lines =
            |text| super::super::try_rule("stratacache", "src/a.rs", text, |c, found| source(c, &ours(), found));
        assert_eq!(lines("use tiers::check;"), [0; 0], "a module of its own");
    }

    #[test]
    fn a_crate_is_on_the_plan_and_in_a_folder_of_its_name() {
        assert_eq!(in_house("stratacache-extra", ""), 1);
        assert_eq!(refusals("stratacache-disk", "crates/disk", ""), 1);
        assert_eq!(in_house("stratacache-bench", "[dependencies]\nstratacache-disk = {}"), 0);
    }

    #[test]
    fn shipped_code_names_only_what_it_may_depend_on() {
        let lines =
            |package, text| super::super::try_rule(package, "src/a.rs", text, |c, found| source(c, &ours(), found));
        assert_eq!(lines("stratacache-disk", "use stratacache_core::A;\nuse stratacache_testkit::B;"), [2]);
        assert_eq!(lines("stratacache-disk", "#[cfg(test)]\nuse stratacache_testkit::B;"), [0; 0]);
        assert_eq!(lines("stratacache-core", "use std::fs;\nfn a() { fs::read(b) }\nuse std::fmt::D;"), [1, 2]);
        assert_eq!(lines("stratacache-core", "fn a() { ::tokio::time::sleep(b) }"), [1]);
        assert_eq!(lines("stratacache-disk", "use std::fs::File;"), [0; 0]);
    }
}
