//! Nodes that share a real Redis.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used)] // helpers of tests may panic

#[path = "redis/away.rs"]
mod away;
#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/cut.rs"]
mod cut;
#[path = "redis/deployments.rs"]
mod deployments;
#[path = "redis/encrypted.rs"]
mod encrypted;
#[path = "redis/expiry.rs"]
mod expiry;
#[path = "redis/flight.rs"]
mod flight;
#[path = "redis/follower.rs"]
mod follower;
#[path = "redis/killed.rs"]
mod killed;
#[path = "redis/nodes.rs"]
mod nodes;
#[path = "redis/probe.rs"]
mod probe;
#[path = "redis/queued.rs"]
mod queued;
#[path = "redis/refusing.rs"]
mod refusing;
#[path = "redis/scan.rs"]
mod scan;
#[path = "redis/sweep.rs"]
mod sweep;
#[path = "redis/trips.rs"]
mod trips;
#[path = "redis/update.rs"]
mod update;
#[path = "redis/world.rs"]
mod world;
