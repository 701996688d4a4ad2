//! Leases: the right to load an entry, and to store it.

use std::sync::Arc;

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    coordinator::{Lease, LeaseReply, LeaseRequest},
};

use super::Shared;
use crate::{
    core::token,
    health::Counters,
    link::{Command, Failure, number},
    names::slot,
};

fn millis(life: std::time::Duration) -> Bytes {
    Bytes::from(life.as_millis().max(1).to_string())
}

fn bytes_of(token: u128) -> Bytes {
    Bytes::copy_from_slice(&token.to_le_bytes())
}

async fn call(shared: &Shared, name: EntryName, command: Command) -> Result<u64, Failure> {
    let (_, answer) = shared.core.link.call(slot(&shared.core.names.lease(name)), &[command]).await?;
    number(answer.one()?)
}

pub(super) async fn lease(shared: &Arc<Shared>, request: LeaseRequest) -> Result<LeaseReply, Failure> {
    let (core, token) = (&shared.core, token()?);
    let keys = vec![core.names.entry(request.name), core.names.lease(request.name)];
    let args = vec![
        bytes_of(token),
        millis(request.life),
        Bytes::copy_from_slice(&request.stamp.incarnation.0.to_le_bytes()),
        Bytes::from(request.stamp.seq.to_string()),
        Bytes::from(request.newest.to_string()),
        request.seen.map(|id| Bytes::copy_from_slice(&id.to_le_bytes())).unwrap_or_default(),
    ];
    let command = Command::script(&core.scripts.lease, keys, args);
    let granted = || LeaseReply::Granted(Lease { lane: request.lane, name: request.name, token, life: request.life });
    match call(shared, request.name, command).await? {
        0 => Ok(LeaseReply::Busy),
        1 => Ok(granted()),
        2 => Ok(LeaseReply::Filled),
        3 => {
            Counters::add(&core.counters.takeovers);
            Ok(granted())
        }
        _ => Err(Failure::Garbled("LEASE")),
    }
}

pub(super) async fn renew(shared: &Arc<Shared>, lease: Lease) -> Result<bool, Failure> {
    let keys = vec![shared.core.names.lease(lease.name)];
    let args = vec![bytes_of(lease.token), millis(lease.life)];
    Ok(call(shared, lease.name, Command::script(&shared.core.scripts.renew, keys, args)).await? == 1)
}

pub(super) async fn release(shared: &Arc<Shared>, lease: Lease) -> Result<(), Failure> {
    let keys = vec![shared.core.names.lease(lease.name)];
    let fills = Bytes::copy_from_slice(shared.core.names.fills.as_bytes());
    let args = vec![bytes_of(lease.token), fills, Bytes::copy_from_slice(&lease.name.to_bytes())];
    call(shared, lease.name, Command::script(&shared.core.scripts.release, keys, args)).await.map(drop)
}
