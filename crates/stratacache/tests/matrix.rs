//! One script over every combination of tiers, consistency, codec, compression, encryption, form in memory and way of writing.
//!
//! A case is named `tiers/consistency/codec/compression/encryption/form/write`, as a failure prints it. To run some alone, by parts of
//! their names, any of which fits:
//!
//! ```text
//! STRATA_CASE='memory_redis/latest/json/zstd/clear/encoded/strict memory_disk/since/own' cargo test --test matrix --all-features
//! ```
//!
//! Each test below runs the cases of one stack of tiers and one consistency, some at once, on real disks, directories and one
//! Redis, where each has a folder or a prefix of its own. The clock of the cache stands still unless the script moves it; the
//! runtime's is the real one.
#![cfg(all(feature = "disk", feature = "encryption", feature = "object", feature = "redis", feature = "zstd"))]
// everything here is a test: it may panic, starts its own tasks, and tells people what fails
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

#[path = "matrix/axes.rs"]
mod axes;
#[path = "matrix/failures.rs"]
mod failures;
#[path = "matrix/invariants.rs"]
mod invariants;
#[path = "matrix/loads.rs"]
mod loads;
#[path = "matrix/nodes.rs"]
mod nodes;
#[path = "matrix/promotions.rs"]
mod promotions;
#[path = "matrix/restarts.rs"]
mod restarts;
#[path = "matrix/rows.rs"]
mod rows;
#[path = "matrix/run.rs"]
mod run;
#[path = "matrix/script.rs"]
mod script;
#[path = "matrix/source.rs"]
mod source;
#[path = "matrix/stack.rs"]
mod stack;

use axes::{Newness, Order};

/// Makes a test of each stack and consistency, which expands to the cases of the other axes, and the list of them all.
macro_rules! matrix {
    ($($order:ident: [$($level:ident),*];)*) => {
        $(mod $order {
            use super::{Newness, Order, run};

            pub(super) const ORDER: Order = Order { name: stringify!($order), below: &[$(crate::axes::Level::$level),*] };

            #[test]
            fn bounded() {
                run::all(ORDER, Newness::Bounded);
            }

            #[test]
            fn latest() {
                run::all(ORDER, Newness::Latest);
            }

            #[test]
            fn since() {
                run::all(ORDER, Newness::Since);
            }
        })*

        const ORDERS: &[Order] = &[$($order::ORDER),*];
    };
}

matrix! {
    memory: [];
    memory_disk: [Disk];
    memory_redis: [Redis];
    memory_object: [Object];
    memory_disk_redis: [Disk, Redis];
    memory_redis_disk: [Redis, Disk];
    memory_disk_object: [Disk, Object];
    memory_redis_object: [Redis, Object];
    memory_disk_redis_object: [Disk, Redis, Object];
}

#[test]
fn there_are_at_least_1_500_cases_and_no_two_are_the_same() {
    let mut names = std::collections::HashSet::new();
    for order in ORDERS {
        let of_order = Newness::ALL.iter().flat_map(|newness| axes::expand(*order, *newness));
        let before = names.len();
        names.extend(of_order.map(|case| case.to_string()));
        println!("{}: {} cases", order.name, names.len() - before);
    }
    let counted: usize =
        ORDERS.iter().flat_map(|order| Newness::ALL.map(|newness| axes::expand(*order, newness).len())).sum();
    println!("{counted} cases");
    assert_eq!(names.len(), counted, "each has a name of its own");
    assert!(counted >= 1_500, "{counted} cases");
}

/// The checker can fail: without a rule of coherence the simplest case of a stack with a disk does.
#[cfg(feature = "mutants")]
#[test]
fn a_case_fails_without_a_rule_of_coherence() {
    use stratacache::Rule;

    let [case, ..] = axes::expand(memory_disk::ORDER, Newness::Bounded)[..] else { unreachable!("it has cases") };
    assert!(run::passes(case, None));
    for rule in [Rule::StampBeforeLoad, Rule::JudgeAfterPut, Rule::PersistMarks, Rule::PromotionKeepsStamp] {
        assert!(!run::passes(case, Some(rule)), "nobody noticed that {rule:?} is off");
    }
}
