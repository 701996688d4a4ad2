//! How a store is reached, and who asks.

use std::fmt;

use stratacache_core::{Error, Result};

use crate::{place::Kind, secret::Secret};

/// The address of a store. One that holds a login is refused, and `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Endpoint(pub(crate) String);

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.contains('@') { "***" } else { &self.0 })
    }
}

/// The options of a bucket. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) region: Option<String>,
    pub(crate) allow_http: bool,
    pub(crate) virtual_hosted: bool,
    pub(crate) anonymous: bool,
    pub(crate) key: Option<(Secret, Secret)>,
    pub(crate) session_token: Option<Secret>,
    pub(crate) account: Option<(String, Option<Secret>)>,
    pub(crate) service_account: Option<Secret>,
}

impl Access {
    /// Refuses options that mean nothing for a kind of store, by name, and those that contradict each other.
    pub(crate) fn check(&self, kind: Kind) -> Result<()> {
        use Kind::{Azure, Gcs, S3};
        const CLOUDS: &[Kind] = &[S3, Gcs, Azure];
        let given: [(&str, bool, &[Kind]); 9] = [
            ("endpoint", self.endpoint.is_some(), CLOUDS),
            ("allow_http", self.allow_http, CLOUDS),
            ("anonymous", self.anonymous, CLOUDS),
            ("region", self.region.is_some(), &[S3]),
            ("virtual_hosted", self.virtual_hosted, &[S3]),
            ("access_key", self.key.is_some(), &[S3]),
            ("session_token", self.session_token.is_some(), &[S3]),
            ("account", self.account.is_some(), &[Azure]),
            ("service_account", self.service_account.is_some(), &[Gcs]),
        ];
        for (option, set, kinds) in given {
            if set && !kinds.contains(&kind) {
                let meant: Vec<&str> = kinds.iter().map(|kind| kind.scheme()).collect();
                return Err(Error::invalid(format!(
                    "`{option}` of the object tier is for {}, and the URL is {}",
                    meant.join(", "),
                    kind.scheme()
                )));
            }
        }
        let keyed = self.key.is_some() || self.service_account.is_some();
        if self.anonymous && (keyed || self.account.as_ref().is_some_and(|(_, key)| key.is_some())) {
            return Err(Error::invalid("`anonymous` of the object tier sends no credentials, but some were given"));
        }
        if self.session_token.is_some() && self.key.is_none() {
            return Err(Error::invalid("`session_token` of the object tier needs the `access_key` it belongs to"));
        }
        if kind == Azure && self.account.as_ref().is_none_or(|(name, _)| name.is_empty()) {
            return Err(Error::invalid("az:// needs the `account` that the container is in"));
        }
        let endpoint = self.endpoint.as_ref().map_or("https://", |endpoint| &endpoint.0);
        let plain = endpoint.starts_with("http://");
        if !plain && !endpoint.starts_with("https://") {
            return Err(Error::invalid(
                "`endpoint` of the object tier is https://host[:port], or http:// where allowed",
            ));
        }
        if endpoint.contains('@') {
            return Err(Error::invalid("`endpoint` of the object tier holds a login, which belongs into `access_key`"));
        }
        if plain && !self.allow_http {
            return Err(Error::invalid(
                "`endpoint` of the object tier is http://: use https://, or say `allow_http(true)` if nobody else can \
                 listen on the way",
            ));
        }
        Ok(())
    }
}
