//! What all clients share: where the nodes are, who may ask, and who watches.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::time::Instant;

use super::{
    counts::{Counts, Judged},
    ledger::Ledger,
};
use crate::{
    db::Contact,
    server::Keys,
    tour::{scene::Companies, witness::Witness},
};

/// How far a read without a token may be behind other nodes.
const BOUND: Duration = Duration::from_secs(1);

/// The nodes, their visitors, and what is known of them.
pub(super) struct Stage {
    pub(super) companies: Companies,
    pub(super) witness: Arc<Witness>,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) admin_token: String,
    addresses: RwLock<Vec<Option<SocketAddr>>>,
    over: AtomicBool,
}

impl Stage {
    pub(super) fn new(addresses: Vec<SocketAddr>, keys: &Keys) -> Self {
        Self {
            companies: Companies::new(keys),
            witness: Arc::default(),
            ledger: Ledger::default(),
            counts: Counts::new(addresses.len()),
            admin_token: keys.admin_token().to_owned(),
            addresses: RwLock::new(addresses.into_iter().map(Some).collect()),
            over: AtomicBool::new(false),
        }
    }

    pub(super) fn nodes(&self) -> usize {
        self.addresses.read().len()
    }

    /// Returns where a node is; `None` while it is known to be dead.
    pub(super) fn address(&self, node: usize) -> Option<SocketAddr> {
        self.addresses.read()[node]
    }

    /// Notes that nobody answers there any more, as a load balancer does.
    pub(super) fn gone(&self, node: usize, address: SocketAddr) {
        let mut addresses = self.addresses.write();
        if addresses[node] == Some(address) {
            addresses[node] = None;
        }
    }

    /// Notes that a node is there.
    pub(super) fn here(&self, node: usize, address: SocketAddr) {
        self.addresses.write()[node] = Some(address);
    }

    /// Ends the work of all clients.
    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Judges a read with the token of its company's last write: it must show all that was acknowledged before.
    /// `written` is the contact of that write, and must be there.
    pub(super) fn judge_with_token(&self, contacts: &[Contact], written: i64, began: Instant, what: &str) {
        let there = contacts.iter().any(|contact| contact.id == written);
        if !there {
            self.witness.stale(|| format!("{what} with a token: contact {written} is missing"));
        }
        self.judge(&self.counts.with_token, there, contacts, began, &format!("{what} with a token"));
    }

    /// Judges a read without a token: it must show what was acknowledged a second before it began.
    pub(super) fn judge_without_token(&self, contacts: &[Contact], began: Instant, what: &str) {
        let due = began.checked_sub(BOUND).unwrap_or(began);
        if contacts.iter().any(|contact| self.ledger.newest_before(contact.id, due).is_some()) {
            self.judge(&self.counts.without_token, true, contacts, due, &format!("{what} without a token"));
        }
    }

    fn judge(&self, judged: &Judged, mut fine: bool, contacts: &[Contact], due: Instant, what: &str) {
        for Contact { id, version, .. } in contacts {
            if let Some(newest) = self.ledger.newest_before(*id, due)
                && *version < newest
            {
                fine = false;
                self.witness.stale(|| format!("{what} showed version {version} of contact {id}, not {newest}"));
            }
        }
        judged.add(fine);
    }
}
