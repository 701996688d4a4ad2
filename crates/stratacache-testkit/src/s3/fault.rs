//! What can happen to an answer.

use std::time::Duration;

use crate::{proxy::Times, random::Random};

/// Requests that a fault is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requests {
    method: Option<&'static str>,
    path: Option<String>,
}

impl Requests {
    /// Means all of them.
    #[must_use]
    pub const fn all() -> Self {
        Self { method: None, path: None }
    }

    /// Means those with a method, in capitals.
    #[must_use]
    pub const fn of(method: &'static str) -> Self {
        Self { method: Some(method), path: None }
    }

    /// Means, of these, those whose path holds a text.
    #[must_use]
    pub fn path(mut self, holds: impl Into<String>) -> Self {
        self.path = Some(holds.into());
        self
    }

    fn mean(&self, method: &str, path: &str) -> bool {
        self.method.is_none_or(|m| m == method) && self.path.as_deref().is_none_or(|part| path.contains(part))
    }
}

/// What happens to a request or its answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HttpFault {
    /// It is answered with a status and a body, and does not reach the server.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// It does not reach the server, and nothing is answered.
    Hang,
    /// It does not reach the server, and the connection is cut.
    Cut,
    /// It is done, and the connection is cut before the answer.
    LoseReply,
    /// It is done, and nothing is answered.
    HangReply,
    /// The connection is cut after so many bytes of the body.
    Truncate(usize),
    /// The answer claims to have a body of so many bytes, sends what there is, and leaves the connection open.
    ClaimLength(u64),
    /// The answer claims to have a body of so many bytes, sends that many or what there is, and ends the connection.
    ShortenTo(usize),
    /// The body of the answer is as long as it claims to be: so many bytes, one after the other for ever, if need be.
    Flood(u64),
    /// The answer comes at so many bytes a second.
    Slow(u32),
    /// The answer comes late.
    Delay(Duration),
    /// The server does not see a header of the request. It must be one that does not check signatures.
    WithoutHeader(&'static str),
    /// Of what was read under this path through the proxy since it was told to remember, the oldest answer comes again.
    Replay,
}

impl HttpFault {
    /// Answers with a status and an error of S3.
    #[must_use]
    pub fn status(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>so the test wants</Message></Error>"
        );
        Self::Answer { status, body }
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Requests, HttpFault, Times)>);

impl Faults {
    pub(super) fn add(&mut self, requests: Requests, fault: HttpFault, times: Times) {
        self.0.push((requests, fault, times));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Decides; of the faults that hit, the one that was given first counts.
    pub(super) fn draw(&mut self, method: &str, path: &str, random: &Random) -> Option<HttpFault> {
        self.0.iter_mut().find_map(|(requests, fault, times)| {
            (requests.mean(method, path) && times.hit(random)).then(|| fault.clone())
        })
    }
}
