//! What can go wrong with a server.

use std::{error::Error, fmt, io, time::Duration};

/// Why a server, or a command to one, failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// A program is not in `PATH`.
    NotInstalled {
        /// The program.
        program: &'static str,
        /// What to do about it.
        install: &'static str,
    },
    /// A server ended before it answered.
    NotStarted {
        /// The program.
        program: &'static str,
        /// The end of its log.
        log: String,
    },
    /// Something did not happen in time.
    Timeout {
        /// What was waited for.
        waited_for: String,
        /// How long.
        after: Duration,
        /// What was seen instead: the end of a log, or the last state.
        seen: String,
    },
    /// A server answered a command with an error.
    Refused {
        /// The command, shortened.
        command: String,
        /// The error of the server.
        message: String,
    },
    /// A tool failed.
    Tool {
        /// The tool.
        tool: &'static str,
        /// What it said.
        said: String,
    },
    /// The operating system refused something, or a connection broke.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ServerError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program, install } => write!(f, "{program} is not in PATH: {install}"),
            Self::NotStarted { program, log } => write!(f, "{program} ended before it answered; its log ends:\n{log}"),
            Self::Timeout { waited_for, after, seen } => {
                write!(f, "gave up waiting for {waited_for} after {after:?}; seen instead:\n{seen}")
            }
            Self::Refused { command, message } => write!(f, "the server refused `{command}`: {message}"),
            Self::Tool { tool, said } => write!(f, "{tool} failed: {said}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl Error for ServerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
