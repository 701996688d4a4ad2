//! Judges every answer: whose rows are in it, and whether it is older than a write that was acknowledged before.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use parking_lot::Mutex;
use serde::Serialize;

use crate::db::{Contact, Statistics};

/// How many violations are kept to be shown.
const SHOWN: usize = 5;

/// Sees all answers and all acknowledged writes.
#[derive(Default)]
pub(super) struct Witness {
    order: AtomicU64,
    written: Mutex<HashMap<i64, Written>>,
    rows: AtomicU64,
    foreign: AtomicU64,
    judged: AtomicU64,
    stale: AtomicU64,
    unexpected: AtomicU64,
    shown: Mutex<Vec<String>>,
}

/// A moment in the order of acknowledged writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// The newest acknowledged write of a contact; version `None` is its end.
struct Written {
    at: Moment,
    version: Option<i64>,
}

/// What was seen so far.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Seen {
    /// Rows and refusals whose company was checked.
    pub(super) rows: u64,
    /// Those of another company.
    pub(super) foreign: u64,
    /// Rows of contacts with a write that had been acknowledged before the read began.
    pub(super) judged: u64,
    /// Those older than that write.
    pub(super) stale: u64,
    /// Answers with a status or body that nothing explains.
    pub(super) unexpected: u64,
}

impl Witness {
    /// Returns the present; take it before a read is sent.
    pub(super) fn now(&self) -> Moment {
        Moment(self.order.load(SeqCst))
    }

    /// Notes a write whose 200 has arrived.
    pub(super) fn acknowledged(&self, id: i64, version: Option<i64>) {
        let mut written = self.written.lock();
        let known = written.get(&id).map(|known| known.version);
        // acknowledgements of two writes can arrive in either order; nothing comes after the end
        let newer = match (known, version) {
            (None, _) | (Some(Some(_)), None) => true,
            (Some(Some(known)), Some(version)) => version > known,
            (Some(None), _) => false,
        };
        if newer {
            let at = Moment(self.order.fetch_add(1, SeqCst) + 1);
            written.insert(id, Written { at, version });
        }
    }

    /// Judges contacts that a company was shown in answer to a read sent at `began`. Returns whether all was well.
    pub(super) fn contacts(&self, company: &str, contacts: &[Contact], began: Moment) -> bool {
        let mut fine = true;
        for contact in contacts {
            fine &= self.owner(company, &contact.tenant);
            fine &= self.age(contact, began);
        }
        fine
    }

    /// Judges statistics that a company was shown.
    pub(super) fn statistics(&self, company: &str, statistics: &Statistics) {
        for stage in &statistics.stages {
            self.owner(company, &stage.tenant);
        }
    }

    /// Judges the answer to a request for another company's contact.
    pub(super) fn refused(&self, company: &str, refused: bool) {
        self.owner(company, if refused { company } else { "another company" });
    }

    /// Judges whose a row is that a company was shown.
    pub(super) fn owner(&self, company: &str, owner: &str) -> bool {
        self.rows.fetch_add(1, SeqCst);
        if company != owner {
            self.foreign.fetch_add(1, SeqCst);
            self.show(|| format!("foreign: {company} was shown a row of {owner}"));
        }
        company == owner
    }

    fn age(&self, contact: &Contact, began: Moment) -> bool {
        let newest = match self.written.lock().get(&contact.id) {
            Some(written) if written.at <= began => written.version,
            _ => return true,
        };
        self.judged.fetch_add(1, SeqCst);
        let fine = newest.is_some_and(|newest| contact.version >= newest);
        if !fine {
            self.stale(|| {
                let newest = newest.map_or_else(|| "its end".to_owned(), |version| format!("version {version}"));
                format!("version {} of contact {} was shown after {newest}", contact.version, contact.id)
            });
        }
        fine
    }

    /// Notes an answer that is older than an acknowledged write.
    pub(super) fn stale(&self, what: impl FnOnce() -> String) {
        self.stale.fetch_add(1, SeqCst);
        self.show(|| format!("stale: {}", what()));
    }

    /// Notes an answer that nothing explains.
    pub(super) fn unexpected(&self, what: impl FnOnce() -> String) {
        self.unexpected.fetch_add(1, SeqCst);
        self.show(|| format!("unexpected: {}", what()));
    }

    fn show(&self, what: impl FnOnce() -> String) {
        let mut shown = self.shown.lock();
        if shown.len() < SHOWN {
            shown.push(what());
        }
    }

    /// Returns the first violations in words.
    pub(super) fn examples(&self) -> Vec<String> {
        self.shown.lock().clone()
    }

    /// Returns the counts so far.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            rows: self.rows.load(SeqCst),
            foreign: self.foreign.load(SeqCst),
            judged: self.judged.load(SeqCst),
            stale: self.stale.load(SeqCst),
            unexpected: self.unexpected.load(SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(id: i64, tenant: &str, version: i64) -> Contact {
        let text = || "x".to_owned();
        Contact { id, tenant: tenant.to_owned(), name: text(), email: text(), city: text(), stage: text(), version }
    }

    #[test]
    fn a_row_of_another_company_is_noticed() {
        let witness = Witness::default();
        assert!(witness.contacts("a", &[contact(1, "a", 1)], witness.now()));
        assert!(!witness.contacts("a", &[contact(1, "b", 1)], witness.now()));
        assert_eq!((witness.seen().rows, witness.seen().foreign), (2, 1));
    }

    #[test]
    fn only_reads_that_began_after_the_acknowledgement_must_show_the_write() {
        let witness = Witness::default();
        let before = witness.now();
        witness.acknowledged(1, Some(5));
        assert!(witness.contacts("a", &[contact(1, "a", 4)], before));
        assert!(witness.contacts("a", &[contact(1, "a", 6)], witness.now()));
        assert!(!witness.contacts("a", &[contact(1, "a", 4)], witness.now()));
        assert_eq!((witness.seen().judged, witness.seen().stale), (2, 1));
    }

    #[test]
    fn a_deleted_contact_must_not_be_shown_and_late_acknowledgements_change_nothing() {
        let witness = Witness::default();
        witness.acknowledged(1, None);
        witness.acknowledged(1, Some(9));
        assert!(!witness.contacts("a", &[contact(1, "a", 9)], witness.now()));
        witness.acknowledged(2, Some(9));
        witness.acknowledged(2, Some(8));
        assert!(!witness.contacts("a", &[contact(2, "a", 8)], witness.now()));
    }
}
