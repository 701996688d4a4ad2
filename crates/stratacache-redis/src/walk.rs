//! Walking through the entries of all servers with `SCAN`, for who may.

use std::{fmt, str::FromStr, sync::Arc};

use redis::Value;

use crate::{
    link::{Command, Failure, Link, Node, accepted, bytes, list, number},
    names::Names,
};

/// Where a walk goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WalkPlace {
    /// Which server, of a cluster.
    pub(crate) server: String,
    pub(crate) at: u64,
}

impl fmt::Display for WalkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.at, self.server)
    }
}

/// The text is not that of a place.
pub(crate) struct NoPlace;

impl FromStr for WalkPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (at, server) = text.split_once('@').ok_or(NoPlace)?;
        Ok(Self { server: server.to_owned(), at: at.parse().map_err(|_| NoPlace)? })
    }
}

/// Returns the servers that a walk has still to go through, in its order, and where it goes on in each. A server of before that
/// is gone was replaced by one with cursors of its own.
pub(crate) async fn servers(link: &Link, from: Option<&WalkPlace>) -> Result<Vec<(WalkPlace, Arc<Node>)>, Failure> {
    let masters = link.masters().await?.into_iter().map(|(node, _)| (node.endpoint.to_string(), node));
    let mut masters: Vec<(String, Arc<Node>)> = masters.collect();
    masters.sort_by(|(one, _), (other, _)| one.cmp(other));
    let alone = masters.len() == 1;
    let left = masters.into_iter().filter_map(|(server, node)| {
        let at = match from {
            Some(from) if server < from.server && !alone => return None,
            Some(from) if server == from.server => from.at,
            _ => 0,
        };
        Some((WalkPlace { server, at }, node))
    });
    Ok(left.collect())
}

/// Takes one step on one server: where the next begins, 0 at the end, and the keys of entries that were come upon.
pub(crate) async fn step(
    link: &Link,
    names: &Names,
    node: &Node,
    at: u64,
    count: usize,
) -> Result<(u64, Vec<String>), Failure> {
    let (at, count) = (at.to_string(), count.to_string());
    let scan = Command::plain(&["SCAN", &at, "MATCH", &names.entries(), "COUNT", &count]);
    let reply = link.send(node, &[scan], link.until()).await?.one()?;
    let [next, keys] = <[Value; 2]>::try_from(list(reply)?).map_err(|_| Failure::Garbled("SCAN"))?;
    let next = number(next)?;
    // whatever else matches the pattern is not ours
    let ours = |key: Value| {
        let key = bytes(key)?;
        Ok(String::from_utf8(key).ok().filter(|key| names.is_entry(key.as_bytes())))
    };
    let keys: Vec<Option<String>> = list(keys)?.into_iter().map(ours).collect::<Result<_, Failure>>()?;
    Ok((next, keys.into_iter().flatten().collect()))
}

/// Returns the reply, or nothing where the key is of another type, or its slot is not here any more.
pub(crate) fn unless_odd(reply: Value) -> Result<Option<Value>, Failure> {
    match accepted(reply) {
        Err(Failure::Refused(refusal)) if refusal.to.is_some() || refusal.code == "WRONGTYPE" => Ok(None),
        Err(failure) => Err(failure),
        Ok(value) => Ok(Some(value)),
    }
}
