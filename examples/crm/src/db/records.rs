//! What the rows mean.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

/// A contact of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub(crate) id: i64,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) city: String,
    pub(crate) stage: String,
    /// 1, and one more with each change.
    pub(crate) version: i64,
}

impl Contact {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            tenant: row.get(1)?,
            name: row.get(2)?,
            email: row.get(3)?,
            city: row.get(4)?,
            stage: row.get(5)?,
            version: row.get(6)?,
        })
    }
}

/// A contact as a user writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) city: String,
    pub(crate) stage: String,
}

/// A page of a company's contacts, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) number: u32,
    pub(crate) contacts: Vec<Contact>,
}

impl Page {
    /// Contacts on a page.
    pub(crate) const SIZE: u32 = 25;
}

/// What a company did and sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statistics {
    pub(crate) stages: Vec<StageTotals>,
}

/// The totals of the contacts at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageTotals {
    pub(crate) tenant: String,
    pub(crate) stage: String,
    pub(crate) contacts: i64,
    pub(crate) activities: i64,
    pub(crate) minutes: i64,
    pub(crate) last_active_day: i64,
    pub(crate) deals_won: i64,
    pub(crate) cents_won: i64,
}

impl StageTotals {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            tenant: row.get(0)?,
            stage: row.get(1)?,
            contacts: row.get(2)?,
            activities: row.get(3)?,
            minutes: row.get(4)?,
            last_active_day: row.get(5)?,
            deals_won: row.get(6)?,
            cents_won: row.get(7)?,
        })
    }
}
