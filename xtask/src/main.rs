//! Chores of the workspace, run as `cargo xtask <chore>`.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command talks to a terminal

mod arrows;
mod features;
mod finding;
mod links;
mod msrv;
mod names;
mod scan;
mod sizes;
mod trees;
mod workspace;

use std::process::ExitCode;

use finding::Finding;
use workspace::Workspace;

const HELP: &str = "\
Chores of the workspace.

Usage: cargo xtask <chore>

  arrows     which crate and which room may name which, and what may be done only in one place
  sizes      lengths of files: median, the longest tenth, lib.rs, inline tests
  msrv       the Rust version of the root manifest is the one every crate inherits and the texts state
  trees      heavy crates come only with the feature that is about them
  names      tests that the texts name exist
  links      links between the texts lead somewhere, and the book has every page of the guide
  all        arrows, sizes, msrv, trees, names and links: everything that needs no build
  features   builds each published crate without features and with each feature alone
";

type Outcome = Result<(Vec<Finding>, String), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chores: &[&str] = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["arrows"] => &["arrows"],
        ["sizes"] => &["sizes"],
        ["msrv"] => &["msrv"],
        ["trees"] => &["trees"],
        ["names"] => &["names"],
        ["links"] => &["links"],
        ["features"] => &["features"],
        ["all"] => &["arrows", "sizes", "msrv", "trees", "names", "links"],
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut held = true;
    for chore in chores {
        held &= run(chore);
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one chore, prints what it found, and returns whether everything held.
fn run(chore: &str) -> bool {
    match outcome(chore) {
        Ok((findings, summary)) => {
            for finding in &findings {
                println!("{finding}");
            }
            let verdict = if findings.is_empty() { "ok".to_owned() } else { format!("{} refused", findings.len()) };
            println!("xtask {chore}: {verdict} ({summary})");
            findings.is_empty()
        }
        Err(error) => {
            eprintln!("xtask {chore}: could not run: {error}");
            false
        }
    }
}

fn outcome(chore: &str) -> Outcome {
    let workspace = Workspace::read()?;
    match chore {
        "arrows" => Ok(arrows::check(&workspace)),
        "sizes" => Ok(sizes::check(&workspace)),
        "msrv" => msrv::check(&workspace),
        "trees" => trees::check(&workspace),
        "names" => names::check(&workspace),
        "links" => links::check(&workspace),
        "features" => features::check(&workspace),
        other => Err(format!("no such chore: {other}")),
    }
}
