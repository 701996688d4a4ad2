//! Moves a slot from one master to another while clients go on.

use std::sync::Arc;

use super::{RedisCluster, wait_until_all_see};
use crate::servers::{ServerError, instance::Instance};

const BATCH: usize = 100;
const MOVE_TIMEOUT_MS: &str = "5000";

/// A slot on its way: its keys are at two nodes, and clients are sent from one to the other with `ASK`.
///
/// Dropped before [`finish`](Self::finish), it leaves the slot on its way.
#[derive(Debug)]
#[must_use = "a migration ends with `finish`"]
pub struct Migration<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: usize,
    to: usize,
}

impl RedisCluster {
    /// Moves a slot and everything in it from one master to another, and waits until every node that runs knows.
    ///
    /// # Errors
    /// [`Refused`](ServerError::Refused) when `from` does not own the slot or `to` is no master;
    /// [`Timeout`](ServerError::Timeout).
    ///
    /// # Panics
    /// When there is no node with such a number.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the slot may stay on its way.
    pub async fn migrate_slot(&self, slot: u16, from: usize, to: usize) -> Result<(), ServerError> {
        let migration = self.begin_migration(slot, from, to).await?;
        migration.finish().await
    }

    /// Begins to move a slot from one master to another, and moves nothing yet.
    ///
    /// # Errors
    /// [`Refused`](ServerError::Refused) when `from` does not own the slot or `to` is no master.
    ///
    /// # Panics
    /// When there is no node with such a number.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the slot may stay on its way.
    pub async fn begin_migration(&self, slot: u16, from: usize, to: usize) -> Result<Migration<'_>, ServerError> {
        let _ = (self.node(from), self.node(to)); // they exist
        self.blocking(move |nodes| {
            let slot = slot.to_string();
            nodes[to].call(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(&nodes[from])?])?;
            nodes[from].call(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(&nodes[to])?])
        })
        .await?;
        Ok(Migration { cluster: self, slot, from, to })
    }
}

impl Migration<'_> {
    /// Moves up to so many keys and returns how many there were to move.
    ///
    /// # Errors
    /// When a node refuses.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, keys may be moved all the same.
    pub async fn move_keys(&self, limit: usize) -> Result<usize, ServerError> {
        let (slot, from, to) = (self.slot, self.from, self.to);
        self.cluster.blocking(move |nodes| move_keys(&nodes[from], &nodes[to], slot, limit)).await
    }

    /// Moves the keys that are left, tells the nodes who owns the slot now, and waits until every one that runs knows; up
    /// to 60 s.
    ///
    /// # Errors
    /// When a node refuses; [`Timeout`](ServerError::Timeout).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the migration goes on.
    pub async fn finish(self) -> Result<(), ServerError> {
        let (slot, from, to) = (self.slot, self.from, self.to);
        let port = self.cluster.node(to).plain_port();
        self.cluster
            .blocking(move |nodes| {
                while move_keys(&nodes[from], &nodes[to], slot, BATCH)? > 0 {}
                let owner = id(&nodes[to])?;
                // the new owner first: should the old one be gone before it knows, nobody is without the slot
                for node in [&nodes[to], &nodes[from]] {
                    node.call(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &owner])?;
                }
                let what = format!("the nodes to see slot {slot} at node {to}");
                wait_until_all_see(nodes, what, |seen| seen.iter().any(|node| node.port == port && node.owns(slot)))
            })
            .await
    }
}

fn move_keys(from: &Instance, to: &Arc<Instance>, slot: u16, limit: usize) -> Result<usize, ServerError> {
    let found = from.call(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &limit.to_string()])?;
    let keys: Vec<_> = found.elements().iter().filter_map(|key| key.bytes()).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    let port = to.address.port.to_string();
    let mut command: Vec<&[u8]> = ["MIGRATE", "127.0.0.1", &port, "", "0", MOVE_TIMEOUT_MS].map(str::as_bytes).into();
    if let Some(password) = &to.address.password {
        command.extend([b"AUTH".as_slice(), password.as_bytes()]);
    }
    command.push(b"KEYS");
    command.extend(&keys);
    from.call(&command)?;
    Ok(keys.len())
}

fn id(node: &Instance) -> Result<String, ServerError> {
    Ok(node.call(&["CLUSTER", "MYID"])?.text().unwrap_or_default())
}
