//! One batch: reading, judging, removing.

use std::collections::BTreeMap;

use redis::Value;
use stratacache_core::envelope::{HEAD, Outline};

use super::{
    Bench, Sweep, SweepReport,
    lanes::{self, Lanes},
};
use crate::{
    link::{Command, Failure, Node, number},
    walk::unless_odd,
};

/// Bytes before the envelope: the history of the store.
const STORE: usize = 8;
/// How much of an entry is read at first: its head and 16 tags, which is all of most.
const FIRST: usize = STORE + HEAD + 16 * 16;

/// An entry as it was read.
struct Seen {
    key: String,
    first: Vec<u8>,
    outline: Outline,
}

impl Seen {
    /// The bytes by which it is recognized: its id is among them.
    fn mark(&self) -> &[u8] {
        &self.first[..STORE + HEAD]
    }
}

impl Sweep {
    pub(super) async fn page(
        &self,
        node: &Node,
        keys: Vec<String>,
        lanes: &mut Lanes,
        report: &mut SweepReport,
    ) -> Result<(), Failure> {
        if keys.is_empty() {
            return Ok(());
        }
        report.scanned += keys.len() as u64;
        let (store, first) = read(&self.bench, node, keys, report).await?;
        let mut seen = outlines(&self.bench, node, first, report).await?;
        seen.retain(|seen| self.tenant.is_none_or(|tenant| tenant == seen.outline.tenant));
        report.judged += seen.len() as u64;
        let is_past = |seen: &Seen| seen.first[..STORE] != store;
        // after the entries were read: an entry is never of a history younger than the headers by which it is found past
        if seen.iter().any(|seen| !is_past(seen) && lanes.are_older_than(&seen.outline)) {
            let outlines = seen.iter().filter(|seen| !is_past(seen)).map(|seen| &seen.outline);
            lanes.renew(lanes::headers(&self.bench).await?, outlines);
        }
        let lacking: BTreeMap<_, _> = seen.iter().flat_map(|seen| lanes.lacks(&seen.outline)).collect();
        for (lane, incarnation) in lacking {
            if let Some(marks) = lanes::marks(&self.bench, lane, incarnation, self.tenant).await? {
                lanes.learn(lane, marks);
            }
        }
        let judged = seen.into_iter().filter_map(|seen| {
            let by_store = is_past(&seen);
            (by_store || lanes.have_ended(&seen.outline)).then_some((seen, by_store))
        });
        self.remove(node, judged.collect(), report).await
    }

    async fn remove(&self, node: &Node, ended: Vec<(Seen, bool)>, report: &mut SweepReport) -> Result<(), Failure> {
        report.invalid += ended.len() as u64;
        if self.dry {
            report.bytes += ended.iter().map(|(seen, _)| seen.outline.length as u64).sum::<u64>();
            return Ok(());
        }
        if ended.is_empty() {
            return Ok(());
        }
        let bench = &self.bench;
        let commands: Vec<Command> =
            ended.iter().map(|(seen, by_store)| bench.remove(&seen.key, seen.mark(), *by_store)).collect();
        let replies = bench.link.send(node, &commands, bench.link.until()).await?.values;
        for ((seen, _), reply) in ended.iter().zip(replies) {
            match unless_odd(reply)? {
                None => report.skipped += 1,
                Some(reply) if number(reply.clone())? == 1 => {
                    report.unlinked += 1;
                    report.bytes += seen.outline.length as u64;
                }
                Some(_) => report.replaced += 1,
            }
        }
        Ok(())
    }
}

/// Reads the first bytes of entries, and then which history the server is of.
async fn read(
    bench: &Bench,
    node: &Node,
    keys: Vec<String>,
    report: &mut SweepReport,
) -> Result<([u8; STORE], Vec<(String, Vec<u8>)>), Failure> {
    let last = (FIRST - 1).to_string();
    let mut commands: Vec<Command> = keys.iter().map(|key| Command::plain(&["GETRANGE", key, "0", &last])).collect();
    commands.push(Command::plain(&["INFO", "replication"]));
    let mut values = bench.link.send(node, &commands, bench.link.until()).await?.values;
    let info = lanes::text(values.pop().ok_or(Failure::Garbled("no reply"))?)?;
    let id = u64::from_str_radix(&lanes::replication_id(&info)?[..16], 16);
    let store = id.map_err(|_| Failure::Garbled("INFO has no master_replid"))?.to_be_bytes();
    let mut first = Vec::new();
    for (key, value) in keys.into_iter().zip(values) {
        match unless_odd(value)? {
            None => report.skipped += 1,
            // it is gone
            Some(Value::BulkString(bytes)) if bytes.is_empty() => {}
            Some(Value::BulkString(bytes)) => first.push((key, bytes)),
            Some(_) => return Err(Failure::Garbled("GETRANGE")),
        }
    }
    Ok((store, first))
}

/// Reads what the first bytes say; entries with many tags are read a second time, farther.
async fn outlines(
    bench: &Bench,
    node: &Node,
    mut first: Vec<(String, Vec<u8>)>,
    report: &mut SweepReport,
) -> Result<Vec<Seen>, Failure> {
    let needs = |bytes: &[u8]| bytes.get(STORE..).and_then(Outline::needs).map_or(0, |needs| STORE + needs);
    // shorter than what was asked for: there is no more
    let cut: Vec<usize> =
        (0..first.len()).filter(|at| first[*at].1.len() == FIRST && needs(&first[*at].1) > FIRST).collect();
    if !cut.is_empty() {
        let again = |at: &usize| {
            let (key, bytes) = &first[*at];
            Command::plain(&["GETRANGE", key, "0", &(needs(bytes) - 1).to_string()])
        };
        let commands: Vec<Command> = cut.iter().map(again).collect();
        let values = bench.link.send(node, &commands, bench.link.until()).await?.values;
        for (at, value) in cut.into_iter().zip(values) {
            // what is not as it was is not read as an envelope below
            first[at].1 = match unless_odd(value)? {
                Some(Value::BulkString(bytes)) => bytes,
                _ => Vec::new(),
            };
        }
    }
    let mut seen = Vec::with_capacity(first.len());
    for (key, bytes) in first {
        match Outline::read(bytes.get(STORE..).unwrap_or_default()) {
            Ok(outline) => seen.push(Seen { key, first: bytes, outline }),
            Err(_) => report.skipped += 1,
        }
    }
    Ok(seen)
}
