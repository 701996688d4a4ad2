//! The events around a violation, in order.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    checker::{Checker, Violation},
    log::{Event, LogFile},
    report::say,
    stage::{FAULTS, Injection, LIMIT},
    time::{Nanos, ms},
    world::Scope,
};

/// How much is shown before what the violation is about, and after it.
const MARGIN: Nanos = ms(30);

/// Reads the logs of a run, judges them again, and prints what led to a violation.
pub(crate) fn explain(folder: &Path, number: usize) -> Result<()> {
    let mut events = Vec::new();
    for (node, path) in logs(folder)? {
        LogFile::new(node, &path).read_new(&mut events)?;
    }
    let limit = fs::read_to_string(folder.join(LIMIT)).context("reading how long reads may take")?;
    let mut checker = Checker::new(limit.trim().parse()?);
    checker.absorb(&events, Nanos::MAX);
    say(&format!("{} events, violations: {:?}", events.len(), checker.violated()));
    let Some(violation) = checker.violations().get(number) else {
        bail!("there is no violation {number} in the logs of {}", folder.display());
    };
    say(&format!("violation {number}: {violation}"));
    let faults = fs::read_to_string(folder.join(FAULTS)).unwrap_or_default();
    let faults: Vec<Injection> = faults.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    show(violation, &events, &faults);
    Ok(())
}

fn logs(folder: &Path) -> Result<Vec<(u32, std::path::PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts: Vec<_> = name.trim_end_matches(".log").split('-').map(str::to_owned).collect();
        if let (["node", node, life], true) = (
            parts.iter().map(String::as_str).collect::<Vec<_>>()[..].try_into().unwrap_or(["", "", ""]),
            name.ends_with(".log"),
        ) {
            found.push((node.parse()?, life.parse::<u32>()?, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(node, _, path)| (node, path)).collect())
}

fn show(violation: &Violation, events: &[(u32, Event)], faults: &[Injection]) {
    let (Some(key), Some(Event::Read { began, ended, .. })) = (violation.key, violation.read) else { return };
    let scopes = key.scopes();
    let commit = |event: &Event| matches!(*event, Event::Committed { key: k, version, .. } if k == key && version == violation.required);
    let committed = events.iter().find(|(_, event)| commit(event)).map_or(began, |(_, event)| event.at());
    // the load of what was read is of interest, too
    let stale = match violation.read {
        Some(Event::Read { seen: crate::log::Seen::Version(version), .. }) => version,
        _ => u64::MAX,
    };
    let load = |event: &Event| match *event {
        Event::Loaded { key: k, version, began, .. } if k == key && version == stale => Some(began),
        _ => None,
    };
    let loaded = events.iter().filter_map(|(_, event)| load(event)).filter(|at| *at < began).max().unwrap_or(began);
    let from = committed.min(loaded).min(began).saturating_sub(MARGIN);
    let concerns = |event: &Event| match *event {
        Event::Begun { key: k, .. } | Event::Committed { key: k, .. } | Event::Loaded { key: k, .. } => k == key,
        Event::Read { key: k, .. } => k == key,
        Event::Called { scope, .. } | Event::Returned { scope, .. } | Event::Queued { scope, .. } => {
            scopes.contains(&scope)
        }
        Event::Lease { key: k, .. } => k == key,
        Event::Started { .. } | Event::Incoherent { .. } => true,
        Event::Counted { .. } | Event::Below { .. } => false,
    };
    let mut lines: Vec<(Nanos, String)> = Vec::new();
    for (node, event) in events {
        if concerns(event) && (from..=ended + MARGIN).contains(&event.at()) {
            lines.push((event.at(), format!("node {node}  {}", words(event, from))));
        }
    }
    for fault in faults.iter().filter(|fault| (from.saturating_sub(ms(1000))..=ended + MARGIN).contains(&fault.at)) {
        lines.push((fault.at, format!("FAULT   {} {}", fault.fault, fault.what)));
    }
    lines.sort();
    say(&format!("times in ms, from the commit of version {} or the load of {stale} on", violation.required));
    for (at, line) in lines {
        say(&format!("{:>10.3}  {line}", (at as f64 - from as f64) / 1e6));
    }
}

fn words(event: &Event, from: Nanos) -> String {
    let at = |time: Nanos| format!("{:.3}", (time as f64 - from as f64) / 1e6);
    let scope = |scope: Scope| scope.to_string();
    match *event {
        Event::Begun { version, .. } => format!("writes version {version}"),
        Event::Committed { version, .. } => format!("wrote version {version}"),
        Event::Called { what, scope: s, .. } => format!("{what:?} {} called", scope(s)),
        Event::Returned { what, scope: s, called, token, .. } => {
            let how = token.map_or_else(|| "failed".to_owned(), |token| format!("ok, {token:?}"));
            format!("{what:?} {} called at {} {how}", scope(s), at(called))
        }
        Event::Queued { scope: s, called, .. } => format!("{} called at {}: queued", scope(s), at(called)),
        Event::Started { .. } => "starts".to_owned(),
        Event::Counted { counted, .. } => format!("{counted:?}"),
        Event::Below { below, .. } => format!("{below:?}"),
        Event::Incoherent { scope, peer, seq, stamp, .. } => {
            format!("a probe of {scope:016x}, invalidated at {seq}: {peer:016x} would serve what has stamp {stamp}")
        }
        Event::Lease { what, life, .. } => format!("lease {what:?} for {} ms", life / 1_000_000),
        Event::Loaded { op, version, began, .. } => format!("{op:?} loaded version {version} since {}", at(began)),
        Event::Read { op, asked, seen, hit, began, .. } => {
            format!("{op:?} since {} {asked:?}: {seen:?}{}", at(began), if hit { "" } else { " (loaded)" })
        }
    }
}
