//! What a key file holds: the wrapped keys of one tenant, newest first.

use serde::{Deserialize, Serialize};
use stratacache_core::{Error, ErrorKind, Result, TenantId, clock::Millis, encryption::KeyId};

use crate::hex;

/// The form that this build writes.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    form: u32,
    tenant: String,
    keys: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    wrapped: String,
    /// When another took its place, in milliseconds of the wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<Millis>,
}

/// A wrapped key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: KeyId,
    pub(super) wrapped: Vec<u8>,
    pub(super) retired_at: Option<Millis>,
}

/// The wrapped keys of one tenant, newest first.
#[derive(Debug)]
pub(super) struct Records {
    tenant: TenantId,
    pub(super) keys: Vec<Record>,
}

impl Records {
    pub(super) fn of(tenant: &TenantId) -> Self {
        Self { tenant: tenant.clone(), keys: Vec::new() }
    }

    pub(super) fn parse(tenant: &TenantId, bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the key file of tenant {tenant} is damaged ({what}): restore it, or destroy the tenant"),
            )
        };
        let file: File = serde_json::from_slice(bytes).map_err(|e| damaged("not of its form").with_source(e))?;
        if file.form != FORM {
            return Err(damaged(&format!("its form is {}, this release knows {FORM}", file.form)));
        }
        if file.tenant != tenant.as_str() {
            return Err(damaged("it is another tenant's"));
        }
        let record = |line: Line| {
            let id = u64::from_str_radix(&line.id, 16).ok().map(KeyId)?;
            Some(Record { id, wrapped: hex::decode(&line.wrapped)?, retired_at: line.retired_at })
        };
        let keys: Option<Vec<Record>> = file.keys.into_iter().map(record).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or_else(|| damaged("a key in it is no key"))?;
        Ok(Self { tenant: tenant.clone(), keys })
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let line = |record: &Record| Line {
            id: format!("{:016x}", record.id.0),
            wrapped: hex::encode(&record.wrapped),
            retired_at: record.retired_at,
        };
        let file = File { form: FORM, tenant: self.tenant.to_string(), keys: self.keys.iter().map(line).collect() };
        serde_json::to_vec_pretty(&file)
            .map_err(|e| Error::new(ErrorKind::Internal, "a key file cannot be put together").with_source(e))
    }

    /// Puts a new key first, and forgets those that were retired before `keep_since`.
    pub(super) fn rotate(&mut self, new: Record, now: Millis, keep_since: Millis) {
        self.keys.retain(|key| key.retired_at.is_none_or(|at| at >= keep_since));
        self.keys.iter_mut().for_each(|key| key.retired_at = key.retired_at.or(Some(now)));
        self.keys.insert(0, new);
    }
}
