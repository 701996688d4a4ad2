//! The table of `docs/campaign.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::Segment;
use crate::{
    checker::{Broken, LoadFigure},
    faults::Fault,
    mutants::hunt,
    part::{Done, Part},
    stage::Ground,
};

/// Adds up what a file of results holds, in Markdown.
pub(crate) fn table(segments: &[Segment]) -> String {
    let (mutants, runs): (Vec<_>, Vec<_>) = segments.iter().partition(|segment| segment.without_rule.is_some());
    let mut text = String::new();
    let sum = |of: &dyn Fn(&Segment) -> u64| runs.iter().map(|segment| of(segment)).sum::<u64>();
    let seconds: f64 = runs.iter().map(|segment| segment.seconds).sum();
    let on = |ground: Ground| runs.iter().filter(|run| run.ground == ground).count();
    let loads = |drops_marks: bool| {
        let mut sum = LoadFigure::default();
        runs.iter().filter(|run| run.drops_marks == drops_marks).for_each(|run| sum.add(&run.quiet_loads));
        format!("{:.3}", sum.each())
    };
    let rows = [
        (
            "runs (of them on a cluster, with an object store)",
            format!("{} ({}, {})", runs.len(), on(Ground::Cluster), on(Ground::Store)),
        ),
        ("parts of the long form that are complete", parts(&runs)),
        ("minutes", format!("{:.1}", seconds / 60.0)),
        ("operations", sum(&|s| s.operations).to_string()),
        ("faults", sum(&Segment::faults).to_string()),
        ("invalidations", sum(&|s| s.invalidations).to_string()),
        ("of them waited for the server (`or_queue`)", sum(&|s| s.queued).to_string()),
        ("reads of their nodes that these bound", sum(&|s| s.quarantined).to_string()),
        ("of them overlapped a load", sum(&|s| s.overlaps).to_string()),
        ("loads for each invalidated key, without faults", loads(false)),
        ("the same where marks of keys are dropped all the time (left out below)", loads(true)),
        ("probes (of them unanswered)", format!("{} ({})", sum(&|s| s.probes), sum(&|s| s.unanswered))),
        ("reads that the object store answered", sum(&|s| s.below.hits).to_string()),
        ("writes behind that were lost", sum(&|s| s.below.lost).to_string()),
        ("longest read", format!("{} ms", runs.iter().map(|s| s.longest_read_ms).max().unwrap_or_default())),
        ("**violations**", format!("**{}**", sum(&Segment::violations))),
    ];
    line(&mut text, &["what", "count"]);
    line(&mut text, &["---", "---"]);
    rows.iter().for_each(|(what, count)| line(&mut text, &[what, count]));
    let mut broken: BTreeMap<Broken, u64> = BTreeMap::new();
    runs.iter().flat_map(|s| &s.violations).for_each(|(what, count)| *broken.entry(*what).or_default() += count);
    broken.iter().for_each(|(what, count)| line(&mut text, &[&format!("violations: {what:?}"), &count.to_string()]));

    text.push('\n');
    let loads = "loads for each invalidated key (most)";
    let above = "too many loads";
    line(
        &mut text,
        &["fault", "injected", "hit rate back after (longest)", loads, above, "leases expired", "reads past the cache"],
    );
    line(&mut text, &["---"; 7]);
    let mut faults: BTreeMap<Fault, (u64, u64, LoadFigure)> = BTreeMap::new();
    for segment in &runs {
        for (fault, count) in &segment.faults {
            faults.entry(*fault).or_default().0 += count;
        }
        for (fault, recovery) in &segment.recoveries {
            let longest = &mut faults.entry(*fault).or_default().1;
            *longest = recovery.ms.max(*longest);
        }
        for (fault, loads) in segment.loads_under.iter().filter(|_| !segment.drops_marks) {
            faults.entry(*fault).or_default().2.add(loads);
        }
    }
    for (fault, (count, ms, loads)) in faults {
        let above = if fault.leaves_entries() { "" } else { ", not checked" };
        line(
            &mut text,
            &[
                &fault.to_string(),
                &count.to_string(),
                &format!("{ms} ms"),
                &format!("{:.3} ({})", loads.each(), loads.most),
                &format!("{} of {}{above}", loads.above, loads.times),
                &loads.expired.to_string(),
                &loads.bypasses.to_string(),
            ],
        );
    }
    if !mutants.is_empty() {
        text.push('\n');
        mutant_table(&mut text, &mutants);
    }
    text
}

/// Tells how many parts of the long form are complete: of so many as there are for each way it was divided.
fn parts(runs: &[&Segment]) -> String {
    let begun: BTreeSet<Part> = runs.iter().filter_map(|run| run.part.as_ref()?.parse().ok()).collect();
    let done = |part: &Part| {
        let mut done = Done::default();
        runs.iter().filter(|run| run.part == Some(part.to_string())).for_each(|run| done.add(run));
        done.is_all_of(*part)
    };
    let mut complete: BTreeMap<u32, u32> = BTreeMap::new();
    begun.iter().for_each(|part| *complete.entry(part.of).or_default() += u32::from(done(part)));
    let each: Vec<_> = complete.iter().map(|(of, count)| format!("{count} of {of}")).collect();
    if each.is_empty() { "none was begun".to_owned() } else { each.join(", ") }
}

/// For each rule: the operations until the checker noticed, over all runs without it.
fn mutant_table(text: &mut String, mutants: &[&Segment]) {
    line(text, &["rule switched off", "noticed after", "by", "under", "stated"]);
    line(text, &["---"; 5]);
    let mut rules: BTreeMap<&str, Vec<&Segment>> = BTreeMap::new();
    for segment in mutants {
        rules.entry(segment.without_rule.as_deref().unwrap_or_default()).or_default().push(segment);
    }
    for (rule, segments) in rules {
        let operations: u64 = segments.iter().map(|segment| segment.operations).sum();
        let hunt = hunt(rule);
        let found = segments.iter().find(|segment| hunt.is_caught(segment));
        let (after, by) = match found {
            Some(found) => {
                let by: Vec<_> = found.violations.keys().map(|broken| format!("{broken:?}")).collect();
                (format!("{operations} operations"), by.join(", "))
            }
            None => (format!("not in {operations} operations"), "-".to_owned()),
        };
        let under: Vec<_> = hunt.faults.iter().map(ToString::to_string).collect();
        line(text, &[rule, &after, &by, &under.join(", "), &hunt.most.to_string()]);
    }
}

fn line(text: &mut String, cells: &[&str]) {
    // cannot fail, since it writes to a string
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_and_mutants_stand_apart() {
        let run = Segment {
            operations: 10,
            overlaps: 2,
            faults: [(Fault::Cut, 3), (Fault::Two, 9)].into(),
            ..Segment::default()
        };
        let mutant = |violations: u64| Segment {
            operations: 7,
            without_rule: Some("NoticeGap".to_owned()),
            violations: if violations > 0 { [(Broken::Stale, violations)].into() } else { BTreeMap::new() },
            ..Segment::default()
        };
        let text = table(&[run.clone(), run, mutant(0), mutant(2)]);
        for expected in [
            "| operations | 20 |",
            "| faults | 6 |",
            "| cut | 6 | 0 ms |",
            "| NoticeGap | 14 operations | Stale | missing | 200000 |",
            "| **violations** | **0** |",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert!(table(&[mutant(0)]).contains("not in 7 operations"));
    }
}
