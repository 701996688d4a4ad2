//! Options of the object store below everything.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::server::{Bucket, ObjectStore};

const ENDPOINT: &str = "CRM_S3_ENDPOINT";
const REGION: &str = "CRM_S3_REGION";
const KEY: &str = "CRM_S3_KEY";

/// Where objects are, and how to get there.
#[derive(Args)]
pub(crate) struct ObjectOptions {
    /// Puts an object store below everything else: a folder of its own, or s3://bucket/prefix. The tour then ends with a
    /// restart of everything; for that it needs redis-server, or --redis.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    object: Option<String>,
    /// Where the bucket is, if not at Amazon: `https://host[:port]`, and `http://` for a store on this machine.
    #[arg(long, value_name = "URL", env = ENDPOINT, requires = "object")]
    s3_endpoint: Option<String>,
    /// The region of the bucket.
    #[arg(long, value_name = "NAME", env = REGION, requires = "object")]
    s3_region: Option<String>,
    /// Id and secret of an access key. Best by the environment: everybody on the machine can read the arguments of a program.
    /// Without one the role of the machine is used.
    #[arg(long, value_name = "ID:SECRET", env = KEY, hide_env_values = true, requires = "object")]
    s3_key: Option<String>,
}

impl ObjectOptions {
    /// Returns the store that was asked for.
    pub(crate) fn store(self) -> Result<Option<ObjectStore>> {
        let Some(place) = self.object else { return Ok(None) };
        if !place.starts_with("s3://") {
            return Ok(Some(ObjectStore::Directory(PathBuf::from(place))));
        }
        let pair = |key: String| key.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()));
        let key = match self.s3_key {
            Some(key) => Some(pair(key).context("--s3-key wants ID:SECRET")?),
            None => None,
        };
        let (endpoint, region) = (self.s3_endpoint, self.s3_region);
        Ok(Some(ObjectStore::Bucket(Bucket { url: place, endpoint, region, key })))
    }
}

/// Returns how another process of this program is told of the same store: arguments, and what goes by the environment.
pub(crate) fn handed_on(store: &ObjectStore) -> (Vec<OsString>, Vec<(&'static str, String)>) {
    let (place, environment) = match store {
        ObjectStore::Directory(folder) => (folder.clone().into_os_string(), Vec::new()),
        ObjectStore::Bucket(Bucket { url, endpoint, region, key }) => {
            let key = key.as_ref().map(|(id, secret)| format!("{id}:{secret}"));
            let all = [(ENDPOINT, endpoint.clone()), (REGION, region.clone()), (KEY, key)];
            (url.into(), all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
        }
    };
    (vec!["--object".into(), place], environment)
}
