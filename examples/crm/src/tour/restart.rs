//! The last writes before the application stops, and the first reads after it is there again.

use std::sync::Arc;

use anyhow::Result;

use super::{Scene, client::Visitor};
use crate::db::{Contact, Draft, contacts_of};

/// How many contacts are changed just before the application stops.
const CHANGED: u64 = 200;
/// Whose: neither the popular ones, which are to be warm, nor those of the probes.
const COMPANIES: std::ops::Range<u64> = 100..150;

/// Reads contacts into every tier and changes them. Every second one is read again; of the others, the tiers hold nothing
/// newer than what was invalidated.
pub(super) async fn write_last(scene: &Scene) -> Result<Vec<(u64, i64)>> {
    let mut visitor = Visitor::connect(scene.address).await?;
    let mut changed = Vec::new();
    for n in 0..CHANGED {
        let size = COMPANIES.end - COMPANIES.start;
        let company = COMPANIES.start + n % size;
        let id = contacts_of(company).end - 1 - (n / size) as i64;
        let Some(old) = scene.contact(&mut visitor, company, id).await? else { continue };
        let draft = Draft { email: format!("last-{n}@mail.example"), name: old.name, city: old.city, stage: old.stage };
        let reply = visitor.put(&format!("/contacts/{id}"), scene.token(company), &draft).await?;
        let Some(new) = scene.expect::<Contact>(&reply) else { continue };
        scene.witness.acknowledged(id, Some(new.version));
        if n % 2 == 0 {
            scene.contact(&mut visitor, company, id).await?;
        }
        changed.push((company, id));
    }
    Ok(changed)
}

/// Reads them again. The witness remembers the writes.
pub(super) async fn read_first(scene: &Arc<Scene>, changed: &[(u64, i64)]) -> Result<u64> {
    let mut visitor = Visitor::connect(scene.address).await?;
    let judged = scene.witness.seen().judged;
    for (company, id) in changed {
        scene.contact(&mut visitor, *company, *id).await?;
    }
    Ok(scene.witness.seen().judged - judged)
}
