//! What is checked before a server is used.

use redis::Value;
use stratacache_core::{Error, ErrorKind, Result};

use crate::{
    access::Purpose,
    link::{Command, Failure, Link, Node, bytes},
    names::Names,
};

/// The oldest server whose scripts do what ours rely on.
const OLDEST: u32 = 7;

/// Checks every server that takes writes.
pub(crate) async fn check(link: &Link, cluster: bool, purpose: Purpose, names: &Names) -> Result<()> {
    let masters = link.masters().await.map_err(|failure| purpose.explain(failure, names))?;
    for (node, _) in masters {
        check_one(link, &node, cluster, purpose)
            .await
            .map_err(|failure| named(&node, purpose.explain(failure, names)))??;
    }
    Ok(())
}

/// An error that says which server.
fn named(node: &Node, error: Error) -> Error {
    Error::new(error.kind(), format!("{} ({})", error.message(), node.endpoint))
}

async fn check_one(link: &Link, node: &Node, cluster: bool, purpose: Purpose) -> Result<Result<()>, Failure> {
    let answer = link.send(node, &[Command::plain(&["INFO"])], link.until()).await?;
    let info = match answer.one()? {
        Value::VerbatimString { text, .. } => text,
        value => String::from_utf8_lossy(&bytes(value)?).into_owned(),
    };
    Ok(judge(&info, cluster, purpose))
}

fn judge(info: &str, cluster: bool, purpose: Purpose) -> Result<()> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let refused = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
    let version = field("redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
    if major < OLDEST {
        return refused(format!("redis {version} is too old: 7.0 or Valkey 7.2 is the oldest that works"));
    }
    if field("role") != Some("master") {
        return refused("the redis server is a replica: the URL must lead to the primary".to_owned());
    }
    match (field("cluster_enabled") == Some("1"), cluster) {
        (true, false) => {
            return refused("the redis server is part of a cluster: use a redis-cluster:// URL".to_owned());
        }
        (false, true) => return refused("the redis server is not part of a cluster: use a redis:// URL".to_owned()),
        _ => {}
    }
    let limited = field("maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = field("maxmemory_policy").unwrap_or_default();
    if purpose == Purpose::Serve && limited && !policy.starts_with("volatile-") {
        let why = match policy {
            "noeviction" => "when the memory is full, invalidations would be refused",
            _ => "when the memory is full, marks of invalidations would be evicted like any other key",
        };
        return refused(format!(
            "redis has a maxmemory and the policy {policy}: {why}. Entries have a time to live and control keys have none, \
             so a volatile policy evicts entries only: CONFIG SET maxmemory-policy volatile-lru"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, role: &str, cluster: u8, memory: u32, policy: &str) -> String {
        format!(
            "# Server\r\nredis_version:{version}\r\n# Replication\r\nrole:{role}\r\ncluster_enabled:{cluster}\r\n\
             maxmemory:{memory}\r\nmaxmemory_policy:{policy}\r\n"
        )
    }

    #[test]
    fn a_server_that_would_break_the_promise_is_refused_with_what_to_do() {
        for (info, cluster, says) in [
            (info("6.2.7", "master", 0, 0, "noeviction"), false, "too old"),
            (info("7.0.15", "slave", 0, 0, "noeviction"), false, "replica"),
            (info("7.0.15", "master", 1, 0, "noeviction"), false, "redis-cluster://"),
            (info("7.0.15", "master", 0, 0, "noeviction"), true, "redis://"),
            (info("7.0.15", "master", 0, 1, "noeviction"), false, "CONFIG SET maxmemory-policy volatile-lru"),
            (info("7.0.15", "master", 0, 1, "allkeys-lru"), false, "CONFIG SET maxmemory-policy volatile-lru"),
        ] {
            let error = judge(&info, cluster, Purpose::Serve).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_server_without_a_limit_or_with_a_volatile_policy_is_taken() {
        assert!(judge(&info("7.0.15", "master", 0, 0, "allkeys-lru"), false, Purpose::Serve).is_ok());
        assert!(judge(&info("7.2.4", "master", 0, 1 << 30, "volatile-ttl"), false, Purpose::Serve).is_ok());
        assert!(judge(&info("8.0.1", "master", 1, 0, "noeviction"), true, Purpose::Serve).is_ok());
    }
}
