//! What stands between `object_store` and its HTTP client: no answer is longer than any of ours can be, and what a store
//! says when it refuses goes into no error. Such answers repeat requests, and with them credentials.

use std::{fmt, future::Future, pin::Pin};

use http_body_util::{BodyExt as _, Limited};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
        ReqwestConnector,
    },
};

use crate::failure::{Failure, Said};

/// So much of a refusal is read to find the word for it.
const REFUSAL: usize = 16 << 10;
/// Longest word for a refusal.
const CODE: usize = 64;
/// A list of a thousand objects is shorter.
const LIST: u64 = 4 << 20;

const NOT_MODIFIED: u16 = 304;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const REQUEST_TIMEOUT: u16 = 408;
const CONFLICT: u16 = 409;
const PRECONDITION_FAILED: u16 = 412;
const TOO_MANY_REQUESTS: u16 = 429;
const NOT_IMPLEMENTED: u16 = 501;
const UNAVAILABLE: u16 = 503;

/// An answer that is neither the object nor that there is none.
#[derive(Debug)]
pub(super) struct NotFine(Said);

impl NotFine {
    pub(super) fn failure(&self) -> Failure {
        let said = self.0.clone();
        match said.status {
            UNAVAILABLE | TOO_MANY_REQUESTS => Failure::Busy(said),
            NOT_IMPLEMENTED => Failure::Unsupported,
            REQUEST_TIMEOUT | 500.. => Failure::OutOfOrder(said),
            _ => Failure::Refused(said),
        }
    }
}

impl fmt::Display for NotFine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NotFine {}

/// Makes clients with bounds.
#[derive(Debug)]
pub(super) struct Bounded {
    /// Longest body in bytes.
    pub(super) most: u64,
}

impl HttpConnector for Bounded {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        let most = usize::try_from(self.most.max(LIST)).unwrap_or(usize::MAX);
        Ok(HttpClient::new(BoundedClient { inner, most }))
    }
}

struct BoundedClient {
    inner: HttpClient,
    most: usize,
}

impl fmt::Debug for BoundedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedClient").field("most", &self.most).finish_non_exhaustive()
    }
}

type Answered = Result<HttpResponse, HttpError>;

impl HttpService for BoundedClient {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> Pin<Box<dyn Future<Output = Answered> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.answer(request))
    }
}

impl BoundedClient {
    async fn answer(&self, request: HttpRequest) -> Answered {
        let response = self.inner.execute(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.map(|body| limited(body, self.most)));
        }
        if matches!(status.as_u16(), NOT_MODIFIED | NOT_FOUND | CONFLICT | PRECONDITION_FAILED) {
            return Ok(response.map(|_| String::new().into()));
        }
        let said = Said { status: status.as_u16(), code: code(response).await };
        if matches!(said.status, UNAUTHORIZED | FORBIDDEN) {
            tracing::warn!(%said, "the object store refuses the credentials, or what they ask for");
        }
        Err(HttpError::new(HttpErrorKind::Unknown, NotFine(said)))
    }
}

fn limited(body: HttpResponseBody, most: usize) -> HttpResponseBody {
    HttpResponseBody::new(Limited::new(body, most).map_err(|error| match error.downcast::<HttpError>() {
        Ok(error) => *error,
        Err(error) => HttpError::new_boxed(HttpErrorKind::Decode, error),
    }))
}

/// Finds the store's own word for a refusal: a header of Azure, an element of S3.
async fn code(response: HttpResponse) -> Option<String> {
    if let Some(code) = response.headers().get("x-ms-error-code") {
        return word(code.as_bytes());
    }
    let mut body = response.into_body();
    let mut text = Vec::new();
    while text.len() < REFUSAL {
        // what was read until it broke may do
        let Some(Ok(frame)) = body.frame().await else { break };
        if let Ok(part) = frame.into_data() {
            text.extend_from_slice(&part[..part.len().min(REFUSAL)]);
        }
    }
    let after = |text: &[u8], mark: &[u8]| text.windows(mark.len()).position(|at| at == mark).map(|at| at + mark.len());
    let begins = after(&text, b"<Code>")?;
    let length = text[begins..].iter().position(|b| *b == b'<')?;
    word(&text[begins..begins + length])
}

/// Takes a short word of letters and digits, and nothing that could be anything else.
fn word(bytes: &[u8]) -> Option<String> {
    let plain = (1..=CODE).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_alphanumeric);
    plain.then(|| String::from_utf8_lossy(bytes).into_owned())
}
