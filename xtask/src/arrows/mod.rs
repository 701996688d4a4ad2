//! What may name what, and what may be done only in one place.

mod client_types;
mod house;
mod identity;
mod names;
mod places;
mod rooms;

use std::collections::BTreeMap;

use crate::{Finding, Workspace, scan::Source};

/// Checks every rule on every crate and file.
pub(crate) fn check(workspace: &Workspace) -> (Vec<Finding>, String) {
    let mut found = Vec::new();
    let mut files = 0;
    let ours = house::Ours::of(&workspace.crates);
    for each in &workspace.crates {
        house::manifest(each, &ours, &mut found);
        let roots = rooms::root_names(&each.sources);
        for source in &each.sources {
            files += 1;
            file(source, &ours, &roots, &mut found);
        }
    }
    found.sort();
    found.dedup();
    (found, format!("{files} files of {} crates", workspace.crates.len()))
}

fn file(source: &Source, ours: &house::Ours, roots: &BTreeMap<String, Vec<String>>, found: &mut Vec<Finding>) {
    let context = Context::new(source);
    house::source(&context, ours, found);
    rooms::check(&context, roots, found);
    places::check(&context, found);
    names::check(&context, found);
    client_types::check(&context, found);
    identity::check(&context, found);
}

/// A file with what several rules ask of it.
struct Context<'a> {
    source: &'a Source,
    /// The code that ships.
    code: String,
    mentions: Vec<crate::scan::Mention>,
    imports: crate::scan::Imports,
}

impl<'a> Context<'a> {
    fn new(source: &'a Source) -> Self {
        let code = source.shipped();
        let mentions = crate::scan::mentions(&code);
        let imports = crate::scan::Imports::of(&mentions);
        Self { source, code, mentions, imports }
    }

    fn finding(&self, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding { file: self.source.path.clone(), line, rule, message: message.into() }
    }
}

/// Runs one rule on a piece of text, for the tests of the rules.
#[cfg(test)]
fn try_rule(package: &str, path: &str, text: &str, rule: impl Fn(&Context<'_>, &mut Vec<Finding>)) -> Vec<usize> {
    let folder = format!("crates/{package}");
    let source = Source::new(package, &folder, &format!("{folder}/{path}"), text.to_owned());
    let mut found = Vec::new();
    rule(&Context::new(&source), &mut found);
    found.into_iter().map(|finding| finding.line).collect()
}
