//! From a URL to a link.

use std::{path::Path, sync::Arc, time::Duration};

use stratacache_core::{
    Error, Result,
    clock::{Clock, SystemClock},
};

use crate::{
    link::{Endpoint, Link, LinkSettings},
    url,
};

/// How a server is reached.
pub(crate) struct Way<'a> {
    pub(crate) url: &'a str,
    pub(crate) ca_file: Option<&'a Path>,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    pub(crate) window: Duration,
}

/// A link that nothing was sent by yet.
pub(crate) struct Connected {
    pub(crate) link: Link,
    pub(crate) cluster: bool,
    /// Where the server is, or the servers by which a cluster is found.
    pub(crate) server: String,
}

impl Way<'_> {
    pub(crate) async fn link(self) -> Result<Connected> {
        if self.deadline < Duration::from_millis(1) || self.deadline > Duration::from_secs(60) {
            return Err(Error::invalid("the `deadline` of redis is 1 ms to 60 s"));
        }
        let address = url::parse(self.url)?;
        let ca: Option<Arc<[u8]>> = match self.ca_file {
            Some(path) => {
                let read = tokio::fs::read(path).await;
                let pem = read.map_err(|e| Error::invalid("the file of `ca_file` cannot be read").with_source(e))?;
                Some(pem.into())
            }
            None => None,
        };
        let endpoints: Vec<Endpoint> = address.nodes.into_iter().map(|info| Endpoint::new(info, ca.clone())).collect();
        let server = endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let settings = LinkSettings {
            endpoints,
            cluster: address.cluster,
            connections: self.connections,
            deadline: self.deadline,
            window: self.window,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Ok(Connected { link: Link::new(settings, clock), cluster: address.cluster, server })
    }
}
