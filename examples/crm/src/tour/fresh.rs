//! What is below memory, as cold as at a first start.

use std::path::Path;

use anyhow::{Context, Result};
use stratacache::Cache;

use crate::{
    db::{COMPANIES, company},
    server::Below,
};

/// What all keys of tours begin with, so that they meet no server's. One tour at a time on one Redis.
pub(super) const PREFIX: &str = "crm-tour";

/// Forgets what an earlier tour has left: this one begins cold, and perhaps with another data base.
pub(super) async fn fresh(folder: &Path, redis: Option<String>) -> Result<Below> {
    match redis {
        Some(url) => {
            let below = Below::Redis { url, prefix: PREFIX.to_owned() };
            clear(&below).await?;
            Ok(below)
        }
        None => {
            let path = folder.join("tour-cache");
            if path.exists() {
                std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            }
            Ok(Below::Disk(path))
        }
    }
}

/// One mark for each company, however many entries there are.
async fn clear(below: &Below) -> Result<()> {
    let cache = Cache::builder().memory(1 << 20).tier(below.open().await?).build().await?;
    for n in 0..COMPANIES {
        cache.tenant(&company(n)).clear().await?;
    }
    Ok(cache.close().await?)
}
