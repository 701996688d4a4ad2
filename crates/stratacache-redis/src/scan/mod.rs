//! An operator's scan: it lists the entries of one tenant that keep their keys.

mod builder;

use std::fmt;

use bytes::Bytes;
use redis::Value;
use stratacache_core::{
    envelope::HEAD,
    tier::{Look, ScanPage, ScanRequest, ScannedEntry, TierError, TierErrorKind, TierScan},
};

pub use builder::RedisScanBuilder;

use crate::{
    access::Purpose,
    link::{Command, Failure, Link, Node},
    names::Names,
    walk::{self, NoPlace, WalkPlace, unless_odd},
};

/// Bytes before the envelope: the history of the store.
const STORE: usize = 8;
/// How much of an entry is read at first: its head, some tags and a key, which is all of most.
const FIRST: usize = STORE + HEAD + 384;

/// Lists the entries of a tenant that keep their keys, for an operator, beside the nodes: what `namespace.scan_keys` of
/// `stratacache` looks through.
///
/// It needs a user of its own ([`REDIS_SCAN_ACL`](crate::REDIS_SCAN_ACL)), walks with `SCAN`, reads the first bytes of entries, never uses
/// `KEYS`, and writes nothing. What is found is read, judged and invalidated by the cache that scans, with the user of the nodes. In a
/// cluster it walks through one master after the other.
///
/// ```no_run
/// use stratacache_redis::RedisScan;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let scan = RedisScan::builder("redis://operator:secret@cache.internal").prefix("shop").build().await?;
/// # let _ = scan;
/// # Ok(())
/// # }
/// ```
pub struct RedisScan {
    link: Link,
    names: Names,
    server: String,
}

impl RedisScan {
    /// Begins to set up a scan. The URL has one of the forms that [`Redis::builder`](crate::Redis::builder) takes, with the user of the
    /// scan.
    pub fn builder(url: impl Into<String>) -> RedisScanBuilder {
        RedisScanBuilder::new(url.into())
    }

    /// Reads on from a place: what was found, and where the next page begins.
    async fn walk(&self, request: &ScanRequest, from: Option<WalkPlace>) -> Result<ScanPage, Failure> {
        let mut page = ScanPage::default();
        let mut servers = walk::servers(&self.link, from.as_ref()).await?.into_iter();
        let Some((WalkPlace { server, at }, node)) = servers.next() else { return Ok(page) };
        let (next, keys) = walk::step(&self.link, &self.names, &node, at, request.most).await?;
        // a step past keys of others took its time, too
        page.examined = if next == 0 { keys.len() } else { keys.len().max(request.most) } as u64;
        self.read(&node, keys, request, &mut page).await?;
        page.cursor = match next {
            0 => servers.next().map(|(place, _)| place.to_string()),
            at => Some(WalkPlace { server, at }.to_string()),
        };
        Ok(page)
    }

    /// Reads the first bytes of entries, and takes those that are looked for.
    async fn read(
        &self,
        node: &Node,
        keys: Vec<String>,
        request: &ScanRequest,
        page: &mut ScanPage,
    ) -> Result<(), Failure> {
        let mut left: Vec<(String, usize)> = keys.into_iter().map(|key| (key, FIRST)).collect();
        while !left.is_empty() {
            let commands: Vec<Command> = left
                .iter()
                .map(|(key, most)| Command::plain(&["GETRANGE", key, "0", &(most - 1).to_string()]))
                .collect();
            let values = self.link.send(node, &commands, self.link.until()).await?.values;
            let mut further = Vec::new();
            for ((key, most), value) in left.into_iter().zip(values) {
                let bytes = match unless_odd(value)? {
                    Some(Value::BulkString(bytes)) => bytes,
                    Some(_) => return Err(Failure::Garbled("GETRANGE")),
                    None => {
                        page.skipped += 1;
                        continue;
                    }
                };
                if bytes.is_empty() {
                    continue; // it is gone
                }
                let bytes = Bytes::from(bytes);
                let envelope = bytes.slice(STORE.min(bytes.len())..);
                match (request.look(&envelope), self.names.name_of(key.as_bytes())) {
                    (Look::Take(length), Some(name)) => {
                        page.entries.push(ScannedEntry::new(name, envelope.slice(..length)));
                    }
                    // cut off, unless it was read as far as that before
                    (Look::Further(needs), _) if STORE + needs > most => further.push((key, STORE + needs)),
                    (Look::Skip, _) => {}
                    _ => page.skipped += 1,
                }
            }
            left = further;
        }
        Ok(())
    }
}

impl TierScan for RedisScan {
    fn tier(&self) -> &str {
        "redis"
    }

    async fn page(&self, request: ScanRequest) -> Result<ScanPage, TierError> {
        let from = request.cursor.as_deref().map(str::parse::<WalkPlace>).transpose();
        let from =
            from.map_err(|NoPlace| TierError::new(TierErrorKind::Corrupt, "this is no cursor of a scan of redis"))?;
        self.walk(&request, from).await.map_err(|failure| {
            let kind = TierError::from(failure.clone()).kind();
            TierError::new(kind, Purpose::Scan.explain(failure, &self.names).message())
        })
    }
}

impl fmt::Debug for RedisScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisScan").field("server", &self.server).finish_non_exhaustive()
    }
}
