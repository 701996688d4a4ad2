//! Taking over the marks of a lane as a whole: SYNC, read both generations, then SYNC again from the first position.

use std::{collections::HashMap, sync::Arc};

use stratacache_core::{
    Scope,
    clock::Millis,
    coordinator::{Floors, LaneSnapshot, MarkRecord, ScopeKind, Strength, Subscriber},
    stamp::Position,
};

use super::{
    Shared,
    lane::LaneState,
    message::{LaneReply, MOST, mark},
};
use crate::{
    health::Counters,
    link::{Command, Failure, bytes, list},
    rules::Rule,
};

/// How often a snapshot is begun again when the lane changes under it.
const ATTEMPTS: usize = 16;

type Marks = HashMap<(Scope, ScopeKind, Strength), MarkRecord>;

/// Fetches the marks of a lane, unless somebody else has just done so.
pub(super) async fn fetch(shared: &Arc<Shared>, state: &LaneState) -> Result<(), Failure> {
    let Some(subscriber) = shared.subscriber() else { return Ok(()) };
    let _one = state.fetching.lock().await;
    for _ in 0..ATTEMPTS {
        if state.is_whole() {
            return Ok(());
        }
        if let Some((snapshot, asked)) = attempt(shared, state, &**subscriber).await? {
            Counters::add(&shared.core.counters.resnapshots);
            state.replace(&**subscriber, snapshot, asked);
        }
    }
    if state.is_whole() { Ok(()) } else { Err(Failure::Away("a lane changes faster than it is read".to_owned())) }
}

/// Reads a lane once; `None` when it has to be begun again.
async fn attempt(
    shared: &Arc<Shared>,
    state: &LaneState,
    subscriber: &dyn Subscriber,
) -> Result<Option<(LaneSnapshot, Millis)>, Failure> {
    let mut first = shared.ask(state.lane, Position::default()).await?;
    if shared.wants_key_marks() && !first.keeps_keys {
        first = shared.flag(state.lane).await?;
    }
    let mut marks = scan(shared, state).await?;
    let mut reached = first.position;
    loop {
        let asked = subscriber.now();
        let last = shared.ask(state.lane, reached).await?;
        if last.position.incarnation != first.position.incarnation {
            return Ok(None);
        }
        if shared.core.rules.has(Rule::ReplayAfterScan) {
            for entry in &last.entries {
                if entry.position != (Position { seq: reached.seq + 1, ..reached }) {
                    return Ok(None);
                }
                reached = entry.position;
                let message = entry.applied(state.lane)?;
                for marked in &message.scopes {
                    keep(
                        &mut marks,
                        MarkRecord {
                            lane: state.lane,
                            scope: marked.scope,
                            kind: marked.kind,
                            strength: marked.strength,
                            tenant: marked.tenant,
                            seq: reached.seq,
                            at: message.at,
                        },
                    );
                }
            }
            if reached.seq < last.position.seq {
                if last.entries.len() < MOST {
                    return Ok(None);
                }
                continue;
            }
        } else {
            reached = last.position;
        }
        let floors = if shared.core.rules.has(Rule::FloorAfterScan) { &last } else { &first };
        return Ok(Some((snapshot(state, reached, floors, marks), asked)));
    }
}

fn snapshot(state: &LaneState, position: Position, header: &LaneReply, marks: Marks) -> LaneSnapshot {
    let keys = if header.keeps_keys { header.floors.keys } else { position.seq };
    let told = |mark: &MarkRecord| header.keeps_keys || mark.kind != ScopeKind::Key || mark.strength == Strength::Soft;
    let marks = marks.into_values().filter(told).collect();
    LaneSnapshot::new(state.lane, position, Floors { marks: header.floors.marks, keys }, marks)
}

fn keep(marks: &mut Marks, record: MarkRecord) {
    let known = marks.entry((record.scope, record.kind, record.strength)).or_insert(record);
    if known.seq < record.seq {
        *known = record;
    }
}

/// Reads both generations of marks, side by side.
async fn scan(shared: &Arc<Shared>, state: &LaneState) -> Result<Marks, Failure> {
    let keys = shared.core.names.lane(state.lane);
    let mut marks = Marks::new();
    let mut cursors = [Some(b"0".to_vec()), Some(b"0".to_vec())];
    while cursors.iter().any(Option::is_some) {
        let mut asked = Vec::new();
        let mut commands: Vec<Command> = Vec::new();
        for (generation, cursor) in cursors.iter().enumerate() {
            if let Some(cursor) = cursor {
                let key = keys.marks[generation].as_bytes();
                asked.push(generation);
                commands.push(crate::link::command(&[b"HSCAN", key, cursor, b"COUNT", b"1000"]));
            }
        }
        let (_, answer) = shared.core.link.call(keys.slot, &commands).await?;
        for (generation, reply) in asked.into_iter().zip(answer.values) {
            let mut page = list(reply)?.into_iter();
            let cursor = bytes(page.next().ok_or(Failure::Garbled("HSCAN"))?)?;
            let mut fields = list(page.next().ok_or(Failure::Garbled("HSCAN"))?)?.into_iter();
            while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
                if let Some(record) = mark(state.lane, &bytes(field)?, &bytes(value)?)? {
                    keep(&mut marks, record);
                }
            }
            cursors[generation] = Some(cursor).filter(|cursor| cursor != b"0");
        }
    }
    Ok(marks)
}
