//! What is sent, and what comes back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{Cmd, Value};

use super::{Failure, Refusal};
use crate::scripts::Script;

/// One command of a pipeline.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Plain(Cmd),
    Script { script: Arc<Script>, keys: Vec<String>, args: Vec<Bytes> },
}

impl Command {
    pub(crate) fn plain(words: &[&str]) -> Self {
        let mut cmd = Cmd::new();
        for word in words {
            cmd.arg(*word);
        }
        Self::Plain(cmd)
    }

    pub(crate) fn script(script: &Arc<Script>, keys: Vec<String>, args: Vec<Bytes>) -> Self {
        Self::Script { script: Arc::clone(script), keys, args }
    }

    /// `whole`: with the text of a script, which the server then keeps.
    pub(crate) fn to_cmd(&self, whole: bool) -> Cmd {
        match self {
            Self::Plain(cmd) => cmd.clone(),
            Self::Script { script, keys, args } => {
                let mut cmd = Cmd::new();
                match whole {
                    true => cmd.arg("EVAL").arg(&script.source),
                    false => cmd.arg("EVALSHA").arg(&script.sha),
                };
                cmd.arg(keys.len());
                for key in keys {
                    cmd.arg(key);
                }
                for arg in args {
                    cmd.arg(&arg[..]);
                }
                cmd
            }
        }
    }
}

/// The replies of one pipeline.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) values: Vec<Value>,
    /// When it was sent, by the clock of the link.
    pub(crate) sent: Duration,
    /// How many connections to the server had been opened when it was sent.
    pub(crate) epoch: u64,
}

impl Answer {
    /// Takes the only reply.
    pub(crate) fn one(self) -> Result<Value, Failure> {
        accepted(self.values.into_iter().next().ok_or(Failure::Garbled("no reply"))?)
    }
}

/// Turns a refusal into a failure.
pub(crate) fn accepted(value: Value) -> Result<Value, Failure> {
    match value {
        Value::ServerError(error) => Err(Failure::Refused(Refusal::new(&error))),
        value => Ok(value),
    }
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, Failure> {
    match accepted(value)? {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        _ => Err(Failure::Garbled("a string was expected")),
    }
}

pub(crate) fn number(value: Value) -> Result<u64, Failure> {
    match accepted(value)? {
        Value::Int(n) => u64::try_from(n).ok(),
        Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    }
    .ok_or(Failure::Garbled("a number was expected"))
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, Failure> {
    match accepted(value)? {
        Value::Array(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Failure::Garbled("a list was expected")),
    }
}
