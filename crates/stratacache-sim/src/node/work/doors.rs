//! The namespaces of a tenant.

use stratacache::{Cache, Keyspace, Namespace, Policy, Tag, WriteMode, millis, seconds};

use super::super::{open::POLICY, value::Value};
use crate::world::{Form, tenant_id};

/// Short lives, so that there are refreshes and stale values at any time.
pub(super) const NESTED: Policy = POLICY
    .with_ttl(seconds(2))
    .stale_while_revalidate(seconds(1))
    .stale_if_error(seconds(2))
    .refresh_ahead(0.7)
    .tier_ttl("memory", millis(1500));

/// The keyspace of bulks, and the same where writes wait.
static BULK: Keyspace<u32, Value> = Keyspace::new("bulk", POLICY);
static BULK_BEHIND: Keyspace<u32, Value> = Keyspace::new("bulk", POLICY.write(WriteMode::Behind));

pub(super) struct Doors {
    pub(super) write: WriteMode,
    pub(super) root: Namespace,
    plain: Namespace,
    nested: Namespace,
    negative: Namespace,
    bulk: Namespace,
}

impl Doors {
    pub(super) fn new(cache: &Cache, tenant: u32, write: WriteMode) -> Self {
        let root = cache.tenant(tenant_id(tenant)).with_policy(POLICY.write(write));
        let plain = root.namespace("a");
        let nested = plain.namespace("b").with_policy(NESTED.write(write));
        Self { write, nested, plain, negative: root.namespace("n"), bulk: root.namespace("k"), root }
    }

    pub(super) fn bulks(&self) -> &'static Keyspace<u32, Value> {
        if self.write == WriteMode::Behind { &BULK_BEHIND } else { &BULK }
    }

    pub(super) fn of(&self, form: Form) -> &Namespace {
        match form {
            Form::Plain => &self.plain,
            Form::Nested => &self.nested,
            Form::Negative => &self.negative,
            Form::Bulk => &self.bulk,
        }
    }
}

pub(super) fn policy_of(form: Form, write: WriteMode) -> Policy {
    if form == Form::Nested { NESTED.write(write) } else { POLICY.write(write) }
}

/// The tag of all tenants.
pub(super) fn global_tag() -> Tag {
    Tag::global("everybody")
}
