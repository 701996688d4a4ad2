//! Explores the models and prints a table.

#![allow(clippy::print_stdout)] // a command talks to a terminal

use std::process::ExitCode;

use clap::Parser;
use stratacache_model::{Case, Expected, Limit, Outcome, Verdict, models};

/// Explores the models of the coherence protocol.
///
/// Every case runs in one thread and is the same in every run. A case without a rule is expected to break, unless the
/// table says that the rule is spare (the others cover for it) or that nothing works without it. Fails if a case does not
/// end as expected.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Models to explore; all when none is named
    models: Vec<String>,
    /// Explores the larger sizes too: minutes, and gigabytes of memory
    #[arg(long)]
    deep: bool,
    /// Millions of states a case may generate, repeated ones included, before it is given up as undecided
    ///
    /// A case keeps 16 bytes for each different state, and the states whose successors are still to come: in all about
    /// 100 to 500 bytes for each different state.
    #[arg(long, value_name = "MILLIONS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    cap: u32,
    /// Prints the steps of each counterexample
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let limit = Limit { generated: arguments.cap as usize * 1_000_000 };
    let named = |case: &Case| arguments.models.is_empty() || arguments.models.iter().any(|name| name == case.model);
    let mut as_expected = true;
    println!("| model | size | without | states | result |\n|---|---|---|---|---|");
    for case in models::cases().iter().filter(|case| named(case) && (arguments.deep || !case.is_deep)) {
        let outcome = case.explore(limit);
        let fine = case.expects(&outcome) || (case.is_deep && outcome.verdict == Verdict::Capped);
        as_expected &= fine;
        println!("{}", row(case, &outcome, fine));
        if let (Verdict::Violated { steps, .. }, true) = (&outcome.verdict, arguments.trace || !fine) {
            steps.iter().enumerate().for_each(|(i, step)| println!("    {:>2}. {step}", i + 1));
        }
    }
    if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(case: &Case, outcome: &Outcome, fine: bool) -> String {
    let off: Vec<_> = case.off.iter().map(|rule| format!("{rule:?}")).collect();
    let result = match &outcome.verdict {
        Verdict::Holds if !outcome.unreached.is_empty() => format!("never: {}", outcome.unreached.join(", ")),
        Verdict::Holds if case.off.is_empty() => "holds".to_owned(),
        Verdict::Holds => "holds: spare".to_owned(),
        Verdict::Violated { property, steps } => format!("\"{property}\" broken in {} steps", steps.len()),
        Verdict::Capped => "undecided: reached the cap".to_owned(),
    };
    let remark = match (fine, case.expected) {
        (true, _) => "",
        (false, Expected::Holds) => " UNEXPECTED: ought to hold",
        (false, Expected::Violated) => " UNEXPECTED: ought to break",
        (false, Expected::Useless) => " UNEXPECTED: ought to do nothing",
    };
    format!("| {} | {} | {} | {} | {result}{remark} |", case.model, case.size, off.join(", "), outcome.states)
}
