//! What is cached: rows of two keyspaces, declared as a case wants them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use stratacache::{CodecError, Keyspace, OwnCodec, ValueCodec, minutes};

use crate::axes::{Case, Coding};

/// A value that is worth compressing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    version: u32,
    owner: String,
    key: String,
    notes: Vec<String>,
    parent: Option<u64>,
}

impl Row {
    pub(crate) fn new(version: u32, owner: &str, key: &str) -> Self {
        let notes = vec!["the same again and again, ".repeat(8); 3];
        Self { version, owner: owner.to_owned(), key: key.to_owned(), notes, parent: None }
    }
}

/// JSON turned around, so that no other codec reads it.
struct Backwards;

impl<V: Serialize + DeserializeOwned> ValueCodec<V> for Backwards {
    fn id(&self) -> OwnCodec {
        OwnCodec::new(200)
    }

    fn encode(&self, value: &V, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let json = serde_json::to_vec(value).map_err(|e| CodecError::encode("no JSON").with_source(e))?;
        into.extend(json.into_iter().rev());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        let json: Vec<u8> = bytes.iter().rev().copied().collect();
        serde_json::from_slice(&json).map_err(|e| CodecError::decode("no such JSON").with_source(e))
    }
}

pub(crate) type Rows = &'static Keyspace<str, Row>;

/// The keyspaces of a case, which live as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Keyspaces {
    pub(crate) usual: Rows,
    /// Memory lets go of these after a minute, and the tier below it after three.
    pub(crate) brief: Rows,
}

impl Keyspaces {
    pub(crate) fn of(case: &Case) -> Self {
        let policy = case.policy();
        let capped = policy.tier_ttl("memory", minutes(1));
        let capped = match case.order.below.first() {
            Some(level) => capped.tier_ttl(level.name(), minutes(3)),
            None => capped,
        };
        let declare = |name, policy| {
            let rows = Keyspace::new(name, policy).memory_form(case.form);
            let rows = if case.coding == Coding::Own { rows.codec(&Backwards) } else { rows };
            &*Box::leak(Box::new(rows))
        };
        Self { usual: declare("usual", policy), brief: declare("brief", capped) }
    }
}
