//! One entry: `tenant` and `targets`.

use redis::Value;
use stratacache_core::follow::{Change, MAX_CHANGE_TEXT, Position};

use crate::link::{Failure, bytes, list};

/// Reads the id of an entry.
pub(super) fn position(id: &[u8]) -> Option<Position> {
    let (major, minor) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some(Position::new(major.parse().ok()?, minor.parse().ok()?))
}

/// Reads the entries of one reply; `now` is the time of the server in milliseconds.
pub(super) fn changes(entries: Value, now: u64) -> Result<Vec<Change>, Failure> {
    list(entries)?.into_iter().map(|entry| change(entry, now)).collect()
}

fn change(entry: Value, now: u64) -> Result<Change, Failure> {
    let mut parts = list(entry)?.into_iter();
    let (Some(id), Some(fields)) = (parts.next(), parts.next()) else { return Err(Failure::Garbled("an entry")) };
    let position = position(&bytes(id)?).ok_or(Failure::Garbled("the id of an entry"))?;
    let (mut tenant, mut targets) = (None, None);
    let mut fields = list(fields)?.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match &bytes(name)?[..] {
            b"tenant" => tenant = Some(bytes(value)?),
            b"targets" => targets = Some(bytes(value)?),
            _ => {}
        }
    }
    let age = now.saturating_sub(position.major());
    Ok(understood(position, tenant.as_deref(), targets.as_deref()).aged(age))
}

fn understood(position: Position, tenant: Option<&[u8]>, targets: Option<&[u8]>) -> Change {
    let Some(targets) = targets else {
        return Change::unreadable(position, "the entry has no field \"targets\"");
    };
    if targets.len() > MAX_CHANGE_TEXT {
        return Change::unreadable(position, format!("the targets of a change have at most {MAX_CHANGE_TEXT} bytes"));
    }
    match (tenant.map(std::str::from_utf8).transpose(), std::str::from_utf8(targets)) {
        (Ok(tenant), Ok(targets)) => Change::from_json(position, tenant, targets),
        _ => Change::unreadable(position, "the entry is not UTF-8"),
    }
}
