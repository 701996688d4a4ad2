//! Explores the models and prints a table.
#![allow(clippy::print_stdout, clippy::disallowed_methods, missing_docs)]
use stratacache_model::{Limit, Verdict, models};
fn main() {
    let only = std::env::var("ONLY").unwrap_or_default();
    for case in models::cases() {
        if case.is_deep && std::env::var("DEEP").is_err() {
            continue;
        }
        if !case.model.starts_with(&only) {
            continue;
        }
        let t = std::time::Instant::now();
        let o = case.explore(Limit { generated: 30_000_000 });
        println!(
            "{} | {} | {:?} | {o} | {:.1}s {} {:?}",
            case.model,
            case.size,
            case.off,
            t.elapsed().as_secs_f32(),
            if case.expects(&o) { "" } else { "UNEXPECTED" },
            o.unreached
        );
        if let Verdict::Violated { steps, .. } = &o.verdict {
            if std::env::var("TRACE").is_ok() || !case.expects(&o) {
                for s in steps {
                    println!("   {s}")
                }
            }
        }
    }
}
