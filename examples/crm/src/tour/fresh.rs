//! What is below memory, as cold as at a first start.

use std::path::Path;

use anyhow::{Context, Result};
use stratacache::Cache;

use crate::{
    db::{COMPANIES, company},
    server::{Below, Extras, Near},
};

/// What all keys of tours begin with, so that they meet no server's. One tour at a time on one Redis.
pub(super) const PREFIX: &str = "crm-tour";

/// Forgets what an earlier tour has left: this one begins cold, and perhaps with another data base.
///
/// Objects of earlier tours are left: they belong to an order of invalidations that is over, or are older than what is
/// cleared here, and are never served.
pub(super) async fn fresh(folder: &Path, redis: Option<String>, extras: &Extras) -> Result<Below> {
    let (object, keys) = (extras.object.clone(), extras.keys.clone());
    match redis {
        Some(url) => {
            let near = Near::Redis { url, prefix: PREFIX.to_owned() };
            clear(&Below { near: near.clone(), object: None, keys: None }).await?;
            Ok(Below { near, object, keys })
        }
        None => {
            let path = folder.join("tour-cache");
            if path.exists() {
                std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            }
            Ok(Below { near: Near::Disk(path), object, keys })
        }
    }
}

/// One mark for each company, however many entries there are.
async fn clear(below: &Below) -> Result<()> {
    let cache = below.open(Cache::builder().memory(1 << 20)).await?.build().await?;
    for n in 0..COMPANIES {
        cache.tenant(&company(n)).clear().await?;
    }
    Ok(cache.close().await?)
}
