//! What the users of Redis may do: the lists to give them, and what is said where something is missing.

use std::{convert::Infallible, sync::Arc};

use redis::{PushInfo, Value};
use stratacache_core::{Error, ErrorKind, Result};

use crate::{
    link::{Command, Denied, Failure, Link, Node, Refusal, Slots},
    names::Names,
};

/// The permissions that a user of Redis needs, for the prefix `strata`: `ACL SETUSER <user> on ><password>` and then this.
///
/// Nothing but keys and channels under the prefix, and nothing but the commands that are used, those inside scripts among
/// them. For another prefix see [`RedisBuilder::acl`](crate::RedisBuilder::acl).
pub const REDIS_ACL: &str = "resetkeys ~strata:* resetchannels &strata:* nocommands +ping +info +time +cluster|slots +asking \
     +eval +evalsha +get +mget +getrange +set +setrange +del +unlink +hget +hmget +hset +hlen +hexists +hincrby +hscan \
     +xadd +xrange +xread +publish +subscribe";

/// The permissions that the user of a [`Sweep`](crate::Sweep) needs, for the prefix `strata`:
/// `ACL SETUSER <user> on ><password>` and then this.
///
/// It may read the order of invalidations and remove entries, and write nothing else. `SCAN` knows no bounds: whoever may
/// use it sees the *names* of all keys of the server, which is why nodes may not. For another prefix see
/// [`SweepBuilder::acl`](crate::SweepBuilder::acl).
pub const REDIS_SWEEP_ACL: &str = "resetkeys %RW~strata:{*}:e %R~strata:{c*}:h %R~strata:{c*}:m? resetchannels nocommands \
     +info +cluster|slots +asking +scan +eval +evalsha +getrange +hmget +hscan +unlink";

/// The permissions that the user of a [`RedisScan`](crate::RedisScan) needs, for the prefix `strata`:
/// `ACL SETUSER <user> on ><password>` and then this.
///
/// It may read the first bytes of entries, and write nothing at all. `SCAN` knows no bounds: whoever may use it sees the *names* of
/// all keys of the server, which is why nodes may not. For another prefix see
/// [`RedisScanBuilder::acl`](crate::RedisScanBuilder::acl).
pub const REDIS_SCAN_ACL: &str = "resetkeys %R~strata:{*}:e %R~strata:{c*}:h resetchannels nocommands +info +cluster|slots \
     +asking +scan +getrange +exists";

/// What a server is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To keep entries and the order of invalidations.
    Serve,
    /// To be swept.
    Sweep,
    /// To be scanned for keys.
    Scan,
}

impl Purpose {
    /// Returns the permissions that it takes.
    pub(crate) fn acl(self, prefix: &str) -> String {
        let line = match self {
            Self::Serve => REDIS_ACL,
            Self::Sweep => REDIS_SWEEP_ACL,
            Self::Scan => REDIS_SCAN_ACL,
        };
        line.replace("strata:", &format!("{prefix}:"))
    }

    /// Says which permission is missing, and how it is granted.
    pub(crate) fn explain(self, failure: Failure, names: &Names) -> Error {
        explain(failure, &format!("the prefix `{}`", names.prefix()), &self.acl(names.prefix()))
    }
}

/// Says which permission is missing, and how it is granted; `of` says what the keys are of.
pub(crate) fn explain(failure: Failure, of: &str, acl: &str) -> Error {
    let Failure::Refused(Refusal { denied: Some(denied), .. }) = &failure else { return failure.into() };
    let what = match denied {
        Denied::Command(command) => format!("may not run {}", command.to_uppercase()),
        Denied::InScript => "may not run a command that a script runs".to_owned(),
        Denied::Keys => format!("has no access to a key of {of}"),
        Denied::Channels => format!("has no access to a channel of {of}"),
    };
    Error::new(ErrorKind::Unavailable, format!("the redis user {what}; grant it with: ACL SETUSER <user> {acl}"))
}

/// Returns the permissions for a prefix, if that is one.
pub(crate) fn acl(purpose: Purpose, prefix: &str) -> Result<String> {
    Names::new(prefix)?;
    Ok(purpose.acl(prefix))
}

/// In the place of a key and of a channel.
const KEY: &str = "<key>";
const CHANNEL: &str = "<channel>";

/// What every node sends, itself or by a script. What would write lacks something that a server looks at after the permissions.
const SENT: &[&[&str]] = &[
    &["PING"],
    &["TIME"],
    &["EVAL", "return 0", "0"],
    &["GET", KEY],
    &["MGET", KEY],
    &["GETRANGE", KEY, "0", "0"],
    &["SET", KEY, "", "XX"],
    &["SETRANGE", KEY, "0", ""],
    &["DEL", KEY],
    &["UNLINK", KEY],
    &["HGET", KEY, "f"],
    &["HMGET", KEY, "f"],
    &["HSET", KEY, "f", "v", "a field without a value"],
    &["HLEN", KEY],
    &["HEXISTS", KEY, "f"],
    &["HINCRBY", KEY, "f", "not a number"],
    &["HSCAN", KEY, "0"],
    &["XADD", KEY, "NOMKSTREAM", "*", "f", "v"],
    &["XRANGE", KEY, "-", "+"],
    &["XREAD", "STREAMS", KEY, "0"],
    &["PUBLISH", CHANNEL, ""],
];
/// What is sent to a cluster besides; the last word of it is about the command behind it.
const SENT_TO_CLUSTERS: &[&[&str]] = &[&["CLUSTER", "SLOTS"], &["ASKING"], &["GET", KEY]];

/// Runs every command that nodes use on every master, also those that otherwise only scripts run: of these, older servers do
/// not say which one is missing.
/// Nothing is changed: they are about a key that never exists.
pub(crate) async fn try_commands(link: &Link, names: &Names) -> Result<(), Failure> {
    for (node, slots) in link.masters().await? {
        let (key, channel) = (names.nothing_in(|slot| slots.has(slot)), names.nobody_listens());
        let more = if matches!(slots, Slots::Some(_)) { SENT_TO_CLUSTERS } else { &[] };
        let command = |words: &&[&str]| {
            let words = words.iter().map(|word| match *word {
                KEY => &key,
                CHANNEL => &channel,
                word => word,
            });
            Command::plain(&words.collect::<Vec<_>>())
        };
        let commands: Vec<Command> = SENT.iter().chain(more).map(command).collect();
        for value in link.send(&node, &commands, link.until()).await?.values {
            if let Value::ServerError(error) = &value
                && let refusal = Refusal::new(error)
                && refusal.denied.is_some()
            {
                return Err(Failure::Refused(refusal));
            }
        }
        try_subscribing(link, &node, names).await?;
    }
    Ok(())
}

/// On a connection of its own, which ends afterwards.
async fn try_subscribing(link: &Link, node: &Arc<Node>, names: &Names) -> Result<(), Failure> {
    let subscribe = async {
        let deaf = |_: PushInfo| Ok::<(), Infallible>(());
        let mut connection = node.endpoint.listen(deaf).await.map_err(|e| Failure::away(&e))?;
        connection.subscribe(names.nobody_listens()).await.map_err(|e| Failure::refused(&e))
    };
    tokio::time::timeout(link.deadline, subscribe).await.map_err(|_| Failure::Hung)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_for_a_prefix_names_that_prefix_alone() {
        assert_eq!(acl(Purpose::Serve, "strata").unwrap(), REDIS_ACL);
        assert_eq!(acl(Purpose::Sweep, "strata").unwrap(), REDIS_SWEEP_ACL);
        assert_eq!(acl(Purpose::Scan, "strata").unwrap(), REDIS_SCAN_ACL);
        for purpose in [Purpose::Serve, Purpose::Sweep, Purpose::Scan] {
            let line = acl(purpose, "shop").unwrap();
            assert!(line.contains("~shop:") && !line.contains("strata"), "{line}");
            assert!(acl(purpose, "*").is_err() && acl(purpose, "a +@all").is_err(), "what would grant more");
        }
        assert!(acl(Purpose::Serve, "shop").unwrap().contains("&shop:*"));
    }
}
