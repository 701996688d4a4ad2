//! Destroying and rotating the keys of a tenant.

use std::{sync::Arc, time::Duration};

use stratacache_core::{Error, Result, Token, coordinator::Strength, encryption::KeyProvider};

use super::{Sealing, fetch::within};
use crate::engine::{Door, Engine, Target, Targets};

/// How long a provider may take to destroy or rotate keys: nobody waits for these on the way of a read.
const DEADLINE: Duration = Duration::from_secs(30);

fn whole_tenant(door: &Door, what: &str) -> Result<Targets> {
    door.check()?;
    let path = door.space.scopes.path();
    if path.len() != 1 {
        return Err(Error::invalid(format!("{what} is of a whole tenant: call it on what Cache::tenant returns")));
    }
    Ok(Targets { scopes: vec![Target::namespace(path[0])], everything: true, ..Targets::default() })
}

impl Engine {
    fn sealing(&self, what: &str) -> Result<&Sealing> {
        let missing = || Error::invalid(format!("{what} needs encryption: CacheBuilder::encryption"));
        self.sealing.as_ref().ok_or_else(missing)
    }

    /// Destroys the keys of a tenant and clears it, to the end even if the caller goes away.
    pub(crate) async fn destroy(self: &Arc<Self>, door: &Arc<Door>) -> Result<Token> {
        let targets = whole_tenant(door, "destroy")?;
        self.sealing("destroy")?;
        let (engine, door) = (Arc::clone(self), Arc::clone(door));
        let work = async move {
            engine.permit_invalidation(&door)?;
            let sealing = engine.sealing("destroy")?;
            // the keys first: what other nodes seal until they hear of the mark is sealed with keys that are gone
            within(DEADLINE, sealing.keys.destroy(&door.tenant.id)).await?;
            door.tenant.keys().forget();
            let token = engine.invalidate_here(&door, &targets, Strength::Hard).await?;
            tracing::info!(tenant = %door.tenant.id, "destroyed the keys of a tenant");
            Ok(token)
        };
        self.spawner.to_the_end(work).await?
    }

    /// Makes a new key the current one of a tenant, to the end even if the caller goes away.
    pub(crate) async fn rotate_key(self: &Arc<Self>, door: &Arc<Door>) -> Result<()> {
        whole_tenant(door, "rotate_key")?;
        self.sealing("rotate_key")?;
        let (engine, door) = (Arc::clone(self), Arc::clone(door));
        let work = async move {
            engine.check_open()?;
            within(DEADLINE, engine.sealing("rotate_key")?.keys.rotate(&door.tenant.id)).await?;
            door.tenant.keys().forget();
            Ok(())
        };
        self.spawner.to_the_end(work).await?
    }
}
