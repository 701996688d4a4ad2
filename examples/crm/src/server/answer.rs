//! What a client is told when there is no answer.

use axum::{
    Json,
    http::{
        Method, StatusCode, Uri,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;
use stratacache::{LoadError, resource::WriteError};

use crate::db::{CompanyRows, DbError};

/// Says why a request has no answer. The body is `{"error": "..."}`.
#[derive(Debug)]
pub(super) enum AppError {
    /// The path, the query or the body is not what it should be.
    Refused {
        /// 400, 413, 415 or 422.
        status: StatusCode,
        /// What is wrong with it.
        message: String,
    },
    /// There is no such contact in this company.
    NoSuchContact(i64),
    /// There is no such tenant name.
    BadTenant(stratacache::Error),
    /// A read failed.
    Read(LoadError<DbError>),
    /// A read past the cache failed.
    ReadUncached(DbError),
    /// A write failed.
    Write(WriteError<CompanyRows>),
    /// The write is in the data base, but the invalidation that waited for Redis was given up.
    Forget(stratacache::Error),
    /// The write goes on, but nobody should wait for it any longer.
    UnderWay,
    /// A write came back without what it has written.
    Interrupted,
}

impl AppError {
    pub(super) fn refused(status: StatusCode, message: String) -> Self {
        Self::Refused { status, message }
    }
}

impl From<LoadError<DbError>> for AppError {
    fn from(error: LoadError<DbError>) -> Self {
        Self::Read(error)
    }
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        Self::ReadUncached(error)
    }
}

impl From<WriteError<CompanyRows>> for AppError {
    fn from(error: WriteError<CompanyRows>) -> Self {
        Self::Write(error)
    }
}

/// Says so in the answers that are as good as "not yet".
const RETRY_AFTER_S: u16 = 1;
/// A write is known to the data base, and perhaps not to all caches.
const AGAIN: &str = "written, but for some minutes readers may see what was there before; write it again";

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Refused { status, message } => (status, message),
            Self::NoSuchContact(id) => (StatusCode::NOT_FOUND, format!("there is no contact {id}")),
            Self::BadTenant(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::Read(error) if error.is_timeout() || error.is_refusal() => {
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            Self::Read(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Self::ReadUncached(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Self::Write(WriteError::NotForgotten(failed)) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{AGAIN}: {}", failed.error),
            ),
            Self::Write(error @ WriteError::Refused(_)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Self::Write(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Self::Forget(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{AGAIN}: {error}")),
            Self::UnderWay => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the write goes on, but it takes long until every node has forgotten what was there before; until then \
                 some readers may see that"
                    .to_owned(),
            ),
            Self::Interrupted => (StatusCode::INTERNAL_SERVER_ERROR, "the write was interrupted".to_owned()),
        };
        let mut response = (status, Json(json!({ "error": message }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }
}

/// Answers 401.
pub(super) fn unauthorized(message: &str) -> Response {
    let status = StatusCode::UNAUTHORIZED;
    (status, [(WWW_AUTHENTICATE, "Bearer")], Json(json!({ "error": message }))).into_response()
}

/// Answers 404 for a path that is none of ours.
pub(super) async fn no_such_route(uri: Uri) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": format!("there is no {}", uri.path()) }))).into_response()
}

/// Answers 405 for a path of ours and a method that it does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    let message = format!("{} cannot be asked for by {method}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": message }))).into_response()
}
