//! Addresses. A URL may hold a password, so no error here repeats it.

use redis::{ConnectionInfo, IntoConnectionInfo, io::tcp::TcpSettings};
use stratacache_core::{Error, Result};

const FORMS: &str = "a redis URL is redis://, rediss://, valkey://, valkeys://, redis-cluster:// or rediss-cluster://, then \
                     [user:password@], then host:port (several, with commas, for a cluster), then /db; or unix://, \
                     redis+unix:// or valkey+unix://, then the path of a socket, then ?db=..&user=..&pass=..";

/// Where a server is, or the servers by which a cluster is found.
pub(crate) struct Address {
    pub(crate) nodes: Vec<ConnectionInfo>,
    pub(crate) cluster: bool,
}

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Address> {
    let bad = |what: &str| Error::invalid(format!("{what}; {FORMS}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("the redis URL has no scheme"))?;
    let (plain, cluster) = match scheme {
        "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => (scheme, false),
        "redis-cluster" => ("redis", true),
        "rediss-cluster" => ("rediss", true),
        _ => return Err(bad("the scheme of the redis URL is not known")),
    };
    let urls = if cluster { one_for_each_host(plain, rest) } else { vec![format!("{plain}://{rest}")] };
    let nodes = urls.iter().map(|url| {
        let info = url.as_str().into_connection_info().map_err(|_| bad("the redis URL cannot be read"))?;
        if cluster && info.redis_settings().db() != 0 {
            return Err(Error::invalid("a redis cluster has only database 0: leave the number out of the URL"));
        }
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    });
    Ok(Address { nodes: nodes.collect::<Result<_>>()?, cluster })
}

/// `user:password@a:1,b:2/0` as one URL for each host.
fn one_for_each_host(scheme: &str, rest: &str) -> Vec<String> {
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let (login, hosts) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    hosts.split(',').map(|host| format!("{scheme}://{login}{host}{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_url_is_read() {
        for (url, nodes, cluster) in [
            ("redis://localhost", 1, false),
            ("rediss://user:secret@cache.example:6380/3", 1, false),
            ("unix:///run/redis.sock", 1, false),
            ("redis+unix:///run/redis.sock?db=1", 1, false),
            ("valkey://cache.example", 1, false),
            ("valkeys://user:secret@cache.example:6380", 1, false),
            ("valkey+unix:///run/valkey.sock?db=1&user=cache&pass=secret", 1, false),
            ("redis-cluster://:secret@10.0.0.1:7000,10.0.0.2:7001", 2, true),
            ("rediss-cluster://[::1]:7000,[::1]:7001,b:7002/", 3, true),
        ] {
            let address = parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!((address.nodes.len(), address.cluster), (nodes, cluster), "{url}");
        }
        let address = parse("redis-cluster://u:p%40ss@a:1,b:2").unwrap();
        for node in &address.nodes {
            assert_eq!(node.redis_settings().password(), Some("p@ss"));
        }
    }

    #[test]
    fn an_error_about_a_url_does_not_repeat_it() {
        for url in [
            "hunter2",
            "http://user:hunter2@host",
            "redis://user:hunter2@host:notaport",
            "redis-cluster://user:hunter2@host:1/hunter2",
            "redis-cluster://user:hunter2@host:1/4",
            "redis://user:hunter2@",
        ] {
            if let Err(error) = parse(url) {
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error}");
            } else {
                panic!("{url} was taken");
            }
        }
    }
}
