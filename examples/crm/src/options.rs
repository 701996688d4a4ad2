//! Options of the object store below everything, and of encryption.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::server::{Bucket, Extras, ObjectStore};

const ENDPOINT: &str = "CRM_S3_ENDPOINT";
const REGION: &str = "CRM_S3_REGION";
const KEY: &str = "CRM_S3_KEY";

/// Where objects are, how to get there, and whether what is below memory is encrypted.
#[derive(Args)]
pub(crate) struct ExtraOptions {
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
    /// Encrypts everything below memory, with keys of each company in the folder `secrets` of the data.
    #[arg(long)]
    encrypt: bool,
}

impl ExtraOptions {
    /// Returns what was asked for; `data` is the folder of the data.
    pub(crate) fn extras(self, data: &Path) -> Result<Extras> {
        let keys = self.encrypt.then(|| data.join("secrets"));
        Ok(Extras { object: self.store()?, keys })
    }

    fn store(self) -> Result<Option<ObjectStore>> {
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

/// Returns how another process of this program, with the same data, is told of the same: arguments, and what goes by the environment.
pub(crate) fn handed_on(extras: &Extras) -> (Vec<OsString>, Vec<(&'static str, String)>) {
    let mut arguments: Vec<OsString> = Vec::new();
    if extras.keys.is_some() {
        arguments.push("--encrypt".into());
    }
    let Some(store) = &extras.object else { return (arguments, Vec::new()) };
    let (place, environment) = match store {
        ObjectStore::Directory(folder) => (folder.clone().into_os_string(), Vec::new()),
        ObjectStore::Bucket(Bucket { url, endpoint, region, key }) => {
            let key = key.as_ref().map(|(id, secret)| format!("{id}:{secret}"));
            let all = [(ENDPOINT, endpoint.clone()), (REGION, region.clone()), (KEY, key)];
            (url.into(), all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
        }
    };
    arguments.extend(["--object".into(), place]);
    (arguments, environment)
}
