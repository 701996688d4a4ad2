//! Which leases of plain keys a node had, for the log: the checker counts those that expired.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Result;
use stratacache_core::{Deployment, EntryName, NamespacePath};

use crate::{
    log::{Event, Leased, Writer},
    time,
    world::{Form, Key, tenant_id},
};

/// Namespaces nest no deeper here.
const DEEP: usize = 4;

/// The names that plain keys have below memory, and where their leases are written down.
pub(super) struct Leases {
    names: HashMap<EntryName, Key>,
    log: Arc<Writer>,
}

impl Leases {
    pub(super) fn new(log: Arc<Writer>) -> Result<Self> {
        let deployment = Deployment::new(Deployment::DEFAULT_SECRET);
        let path = NamespacePath::default().child(&"a", DEEP)?;
        let name =
            |key: Key| deployment.name(tenant_id(key.tenant()), &path, stratacache::Key::<()>::new(key.0).as_bytes());
        let names = Key::all().filter(|key| key.form() == Form::Plain).map(|key| (name(key), key)).collect();
        Ok(Self { names, log })
    }

    /// Notes that the node has a lease from now on.
    pub(super) fn held(&self, name: EntryName, life: Duration) {
        self.note(Leased::Held, name, life);
    }

    /// Notes that it has it no more.
    pub(super) fn ended(&self, name: EntryName) {
        self.note(Leased::Ended, name, Duration::ZERO);
    }

    fn note(&self, what: Leased, name: EntryName, life: Duration) {
        if let Some(key) = self.names.get(&name) {
            self.log.append(&Event::Lease { what, key: *key, life: time::nanos(life), at: time::now() });
        }
    }
}
