//! What the lanes say: whose histories they are of, and what was invalidated in them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use redis::Value;
use stratacache_core::{
    Scope,
    coordinator::{MarkRecord, ScopeKind, Strength},
    envelope::Outline,
    stamp::{Incarnation, LANES, Lane, Seq},
};

use super::Bench;
use crate::{
    coordinator::{history, mark},
    link::{Command, Failure, accepted, bytes, command, list, number},
    spawn,
};

/// Most ended histories that are remembered.
const PAST: usize = 4096;

/// The header of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// There is none.
    Missing,
    /// It is of a history of the server that has ended: the next node that asks begins the lane anew.
    Ended,
    /// The lane's present history, and its floor.
    Present(Incarnation, Seq),
}

impl Header {
    fn incarnation(self) -> Option<Incarnation> {
        match self {
            Self::Present(incarnation, _) => Some(incarnation),
            Self::Missing | Self::Ended => None,
        }
    }
}

/// The hard marks of one lane; soft ones leave stale values of use, and those of keys say nothing of hashed names.
#[derive(Debug, Default)]
pub(super) struct LaneMarks {
    pub(super) incarnation: Incarnation,
    pub(super) floor: Seq,
    scopes: HashMap<Scope, Seq>,
    tenants: HashMap<u64, Seq>,
}

impl LaneMarks {
    /// `only`: the low half of the scope of the only tenant that is swept.
    pub(super) fn keep(&mut self, record: &MarkRecord, only: Option<u64>) {
        let wanted = record.lane == Lane::GLOBAL || only.is_none_or(|tenant| tenant == record.tenant);
        if record.strength != Strength::Hard || record.kind == ScopeKind::Key || !wanted {
            return;
        }
        let seq = self.scopes.entry(record.scope).or_default();
        *seq = record.seq.max(*seq);
        if record.kind == ScopeKind::Namespace && record.scope.low() == record.tenant {
            let seq = self.tenants.entry(record.tenant).or_default();
            *seq = record.seq.max(*seq);
        }
    }

    fn newest(&self, scopes: &[Scope]) -> Seq {
        scopes.iter().filter_map(|scope| self.scopes.get(scope).copied()).max().unwrap_or(0)
    }
}

/// What is known of the lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    headers: Vec<Header>,
    marks: Vec<Option<LaneMarks>>,
    past: HashSet<Incarnation>,
}

impl Lanes {
    pub(super) fn new(headers: Vec<Header>) -> Self {
        let marks = headers.iter().map(|_| None).collect();
        Self { headers, marks, past: HashSet::new() }
    }

    /// Tells whether no lane has a header: there is no such deployment.
    pub(super) fn are_missing(&self) -> bool {
        self.headers.iter().all(|header| *header == Header::Missing)
    }

    fn lane_of(&self, incarnation: Incarnation) -> Option<Lane> {
        let own = self.headers.iter().take(LANES);
        Lane::from_index(own.map(|header| header.incarnation()).position(|known| known == Some(incarnation))?)
    }

    fn global(&self) -> Option<Incarnation> {
        self.headers.get(Lane::GLOBAL.index())?.incarnation()
    }

    /// Tells whether the headers have to be read again before an entry can be judged: it may be of a newer history.
    pub(super) fn are_older_than(&self, outline: &Outline) -> bool {
        let own = self.lane_of(outline.stamp.incarnation).is_some() || self.past.contains(&outline.stamp.incarnation);
        let global = outline.global.incarnation;
        !own || self.global() != Some(global) && !self.past.contains(&global)
    }

    /// Takes over headers that were read after the entries were: histories that none of them names have ended, and no lane
    /// ever has them again.
    pub(super) fn renew<'a>(&mut self, headers: Vec<Header>, outlines: impl Iterator<Item = &'a Outline>) {
        self.headers = headers;
        for (header, marks) in self.headers.iter().zip(&mut self.marks) {
            if marks.as_ref().is_some_and(|marks| header.incarnation() != Some(marks.incarnation)) {
                *marks = None;
            }
        }
        if self.past.len() > PAST {
            self.past.clear();
        }
        let settled = |header: &Header| header.incarnation().is_some();
        let all_settled = self.headers.iter().take(LANES).all(settled);
        for outline in outlines {
            let (own, global) = (outline.stamp.incarnation, outline.global.incarnation);
            if all_settled && self.lane_of(own).is_none() {
                self.past.insert(own);
            }
            if self.global().is_some_and(|known| known != global) {
                self.past.insert(global);
            }
        }
    }

    /// Returns the lanes whose marks decide about an entry and are not known yet.
    pub(super) fn lacks(&self, outline: &Outline) -> impl Iterator<Item = (Lane, Incarnation)> {
        let own = self.lane_of(outline.stamp.incarnation);
        let lanes = [own, Some(Lane::GLOBAL)].into_iter().flatten();
        lanes.filter_map(|lane| {
            let incarnation = self.headers.get(lane.index())?.incarnation()?;
            self.marks.get(lane.index())?.is_none().then_some((lane, incarnation))
        })
    }

    pub(super) fn learn(&mut self, lane: Lane, marks: LaneMarks) {
        self.marks[lane.index()] = Some(marks);
    }

    /// Tells whether no node may serve an entry ever again.
    pub(super) fn have_ended(&self, outline: &Outline) -> bool {
        let marks = |lane: Lane, incarnation| {
            let marks = self.marks.get(lane.index()).and_then(Option::as_ref);
            marks.filter(|marks| marks.incarnation == incarnation)
        };
        let (own, global) = (outline.stamp, outline.global);
        if self.past.contains(&own.incarnation) || self.past.contains(&global.incarnation) {
            return true;
        }
        let own_marks = self.lane_of(own.incarnation).and_then(|lane| marks(lane, own.incarnation));
        let by_own = own_marks.is_some_and(|marks| {
            let cleared = marks.tenants.get(&outline.tenant).copied().unwrap_or(0);
            own.seq < marks.floor.max(cleared).max(marks.newest(&outline.tags))
        });
        let by_global = marks(Lane::GLOBAL, global.incarnation).is_some_and(|marks| {
            let of_all = marks.newest(&[Scope::ALL_TENANTS]);
            global.seq < marks.floor.max(of_all).max(marks.newest(&outline.global_tags))
        });
        by_own || by_global
    }
}

/// Reads the headers of all lanes.
pub(super) async fn headers(bench: &Arc<Bench>) -> Result<Vec<Header>, Failure> {
    let read = |lane: Lane| {
        let bench = Arc::clone(bench);
        async move { header(&bench, lane).await }
    };
    let read = spawn::all(Lane::all().map(read).collect()).await;
    read.into_iter().map(|header| header.unwrap_or(Err(Failure::Closed))).collect()
}

async fn header(bench: &Bench, lane: Lane) -> Result<Header, Failure> {
    let keys = bench.names.lane(lane);
    let fields = Command::plain(&["HMGET", &keys.header, "inc", "replid", "floor"]);
    let commands = [fields, Command::plain(&["INFO", "replication"])];
    let (_, mut answer) = bench.link.call(keys.slot, &commands).await?;
    let info = text(answer.values.pop().unwrap_or(Value::Nil))?;
    let fields = list(answer.one()?)?;
    let [incarnation, replid, floor] = <[Value; 3]>::try_from(fields).map_err(|_| Failure::Garbled("HMGET"))?;
    if [&incarnation, &replid, &floor].into_iter().any(|field| *field == Value::Nil) {
        return Ok(Header::Missing);
    }
    if bytes(replid)? != replication_id(&info)?.as_bytes() {
        return Ok(Header::Ended);
    }
    Ok(Header::Present(history(&bytes(incarnation)?)?, number(floor)?))
}

/// Reads the marks of a lane; `None` where it began a new history meanwhile.
pub(super) async fn marks(
    bench: &Bench,
    lane: Lane,
    incarnation: Incarnation,
    only: Option<u64>,
) -> Result<Option<LaneMarks>, Failure> {
    let keys = bench.names.lane(lane);
    let mut marks = LaneMarks { incarnation, ..LaneMarks::default() };
    for key in &keys.marks {
        let mut cursor = b"0".to_vec();
        loop {
            let scan = command(&[b"HSCAN", key.as_bytes(), &cursor, b"COUNT", b"1000"]);
            let mut page = list(bench.link.call(keys.slot, &[scan]).await?.1.one()?)?.into_iter();
            cursor = bytes(page.next().ok_or(Failure::Garbled("HSCAN"))?)?;
            let mut fields = list(page.next().ok_or(Failure::Garbled("HSCAN"))?)?.into_iter();
            while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
                if let Some(record) = mark(lane, &bytes(field)?, &bytes(value)?)? {
                    marks.keep(&record, only);
                }
            }
            if cursor == b"0" {
                break;
            }
        }
    }
    // what was read belongs to a history that the lane had before and after
    match header(bench, lane).await? {
        Header::Present(after, floor) if after == incarnation => {
            marks.floor = floor;
            Ok(Some(marks))
        }
        _ => Ok(None),
    }
}

/// Reads the reply of INFO.
pub(super) fn text(reply: Value) -> Result<String, Failure> {
    match accepted(reply)? {
        Value::VerbatimString { text, .. } => Ok(text),
        reply => Ok(String::from_utf8_lossy(&bytes(reply)?).into_owned()),
    }
}

/// Finds the replication id in INFO.
pub(super) fn replication_id(info: &str) -> Result<&str, Failure> {
    let id = info.lines().find_map(|line| line.strip_prefix("master_replid:")).map(str::trim);
    id.filter(|id| id.len() >= 16 && id.is_ascii()).ok_or(Failure::Garbled("INFO has no master_replid"))
}

#[cfg(test)]
mod tests;
