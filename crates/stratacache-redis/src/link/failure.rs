//! What can go wrong with a call, in the words of the core.

use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};
use stratacache_core::{
    Error, ErrorKind,
    tier::{TierError, TierErrorKind},
};

/// Why a call brought nothing.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The link was closed.
    Closed,
    /// The breaker leaves the server alone.
    Open,
    /// There is no connection; nothing was sent.
    Away(String),
    /// There is no connection, and it is too early to try again.
    Waiting,
    /// The connection broke after sending.
    Lost(String),
    /// No answer within the deadline.
    Hung,
    /// The server refused.
    Refused(Refusal),
    /// The answer is not one that our scripts give.
    Garbled(&'static str),
}

/// A refusal of the server. The text of the server is not kept: it may name users and keys.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) kind: Option<ServerErrorKind>,
    /// For a redirection: host and port.
    pub(crate) to: Option<(String, u16)>,
    /// For a missing permission: of what.
    pub(crate) denied: Option<Denied>,
}

/// What a user may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    Command(String),
    /// A command that a script runs: older servers do not say which.
    InScript,
    Keys,
    Channels,
}

impl Denied {
    /// Reads what servers say, and takes nothing from it but the name of the command: users and keys are in it, too.
    fn read(details: &str) -> Self {
        // the name of a user may hold anything, and comes first
        match details.rsplit_once("to run the '").and_then(|(_, rest)| rest.split('\'').next()) {
            Some(command) => Self::Command(command.to_owned()),
            None if details.contains("channel") => Self::Channels,
            None if details.contains("key") => Self::Keys,
            None => Self::InScript,
        }
    }
}

impl Refusal {
    pub(crate) fn new(error: &redis::ServerError) -> Self {
        Self::read(error.kind(), error.code(), error.details().unwrap_or_default())
    }

    fn read(kind: Option<ServerErrorKind>, code: &str, details: &str) -> Self {
        let redirects = matches!(kind, Some(ServerErrorKind::Moved | ServerErrorKind::Ask));
        let to = redirects.then(|| details.split_whitespace().nth(1)?.rsplit_once(':')).flatten();
        // Redis and Valkey, each of which says it with the code of any error
        let in_script =
            ["executing the script can't", "ACL failure in script"].iter().any(|said| details.contains(said));
        let permission = kind == Some(ServerErrorKind::NoPerm) || in_script;
        Self {
            code: if permission { "NOPERM".to_owned() } else { code.to_owned() },
            kind: if permission { Some(ServerErrorKind::NoPerm) } else { kind },
            to: to.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?))),
            denied: permission.then(|| Denied::read(details)),
        }
    }

    /// Tells whether the server says that it does not speak for the keys, or cannot for now.
    pub(crate) fn is_no_primary(&self) -> bool {
        use ServerErrorKind as S;
        matches!(self.kind, Some(S::ReadOnly | S::ClusterDown | S::MasterDown | S::BusyLoading))
            || matches!(self.code.as_str(), "MISCONF" | "NOREPLICAS" | "UNBLOCKED")
    }
}

impl Failure {
    pub(crate) fn lost(error: &RedisError) -> Self {
        Self::Lost(describe(error))
    }

    /// Of a call whose refusals come as errors.
    pub(crate) fn refused(error: &RedisError) -> Self {
        match error.kind() {
            Kind::Server(kind) => {
                let (code, details) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
                Self::Refused(Refusal::read(Some(kind), code, details))
            }
            _ => Self::lost(error),
        }
    }

    pub(crate) fn away(error: &RedisError) -> Self {
        Self::Away(describe(error))
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Closed => "the redis tier was closed".to_owned(),
            Self::Open => "redis did not answer lately and is left alone for a moment".to_owned(),
            Self::Away(why) => format!("redis cannot be reached ({why}); check that it runs, and the URL"),
            Self::Waiting => "redis cannot be reached; connecting is tried again within a second".to_owned(),
            Self::Lost(why) => format!("the connection to redis broke before the reply ({why})"),
            Self::Hung => "redis did not answer within the deadline; raise `deadline` if it is only slow".to_owned(),
            Self::Refused(refusal) => refusal.message(),
            Self::Garbled(what) => format!("redis answered in a way our scripts do not ({what})"),
        }
    }
}

impl Refusal {
    fn message(&self) -> String {
        match (self.kind, &self.denied) {
            (_, Some(denied)) => {
                let what = match denied {
                    Denied::Command(command) => format!("may not run `{command}`"),
                    Denied::InScript => "may not run a command that a script runs".to_owned(),
                    Denied::Keys => "has no access to keys of the prefix".to_owned(),
                    Denied::Channels => "has no access to channels of the prefix".to_owned(),
                };
                format!("the redis user {what}; grant what `RedisBuilder::acl` lists")
            }
            (Some(ServerErrorKind::ReadOnly), None) => {
                "the redis server is a replica (READONLY); connect to the primary".to_owned()
            }
            _ => match self.code.as_str() {
                "OOM" => "redis is out of memory; raise maxmemory or set maxmemory-policy volatile-lru".to_owned(),
                "MISCONF" => "redis cannot save its snapshots and takes no writes (MISCONF); its log says \
                     why, and `stop-writes-on-bgsave-error no` lets it go on without"
                    .to_owned(),
                "NOREPLICAS" => "redis has too few replicas to take writes (NOREPLICAS); mend them, or \
                     lower min-replicas-to-write"
                    .to_owned(),
                code => format!("redis refused ({code})"),
            },
        }
    }
}

/// Describes an error of the client without anything that a user or a server wrote.
fn describe(error: &RedisError) -> String {
    if error.is_connection_refusal() {
        return "connection refused".to_owned();
    }
    match error.kind() {
        Kind::Io => format!("I/O error: {}", io_kind(error)),
        Kind::AuthenticationFailed => "the login was refused: check user and password".to_owned(),
        _ => match error.code() {
            Some(code) => code.to_owned(),
            None => error.category().to_owned(),
        },
    }
}

fn io_kind(error: &RedisError) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            // the text of TLS errors says what is wrong with the certificate
            return if io.kind() == std::io::ErrorKind::InvalidData { io.to_string() } else { io.kind().to_string() };
        }
        cause = error.source();
    }
    "the connection was closed".to_owned()
}

impl From<Failure> for TierError {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Closed => TierErrorKind::Closed,
            Failure::Hung => TierErrorKind::Timeout,
            Failure::Lost(_) => TierErrorKind::ReplyLost,
            Failure::Refused(refusal) if refusal.code == "OOM" => TierErrorKind::Full,
            _ => TierErrorKind::Unavailable,
        };
        Self::new(kind, failure.message())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Closed => ErrorKind::Closed,
            Failure::Hung => ErrorKind::Timeout,
            Failure::Lost(_) => ErrorKind::WriteUnknown,
            Failure::Refused(refusal) if refusal.code == "OOM" => ErrorKind::Full,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, failure.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_read_from_what_every_kind_of_server_says() {
        let command = |name: &str| Denied::Command(name.to_owned());
        for (said, denied) in [
            ("this user has no permissions to run the 'xadd' command", command("xadd")),
            ("User o'to run the 'x has no permissions to run the 'cluster|slots' command", command("cluster|slots")),
            ("ACL failure in script: User app has no permissions to run the 'hset' command", command("hset")),
            ("The user executing the script can't run this command or subcommand script: f", Denied::InScript),
            ("this user has no permissions to access one of the keys used as arguments", Denied::Keys),
            ("No permissions to access a key", Denied::Keys),
            ("this user has no permissions to access one of the channels used as arguments", Denied::Channels),
        ] {
            assert_eq!(Denied::read(said), denied, "{said}");
            let message = Refusal::read(Some(ServerErrorKind::NoPerm), "NOPERM", said).message();
            assert!(message.contains("RedisBuilder::acl") && !message.contains("app"), "{message}");
        }
    }

    #[test]
    fn a_permission_that_a_script_misses_is_known_though_its_code_is_that_of_any_error() {
        for said in [
            "The user executing the script can't run this command or subcommand script: f",
            "ACL failure in script: User app has no permissions to run the 'xadd' command script: f",
        ] {
            let refusal = Refusal::read(Some(ServerErrorKind::ResponseError), "ERR", said);
            assert!(refusal.denied.is_some() && refusal.code == "NOPERM", "{refusal:?}");
        }
        assert!(Refusal::read(Some(ServerErrorKind::ResponseError), "ERR", "no such key").denied.is_none());
    }
}
