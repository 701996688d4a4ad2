//! The token of a write: a client that hands it along sees its write, whichever node answers next.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use stratacache::{Consistency, Token};

use super::answer::AppError;

/// The header of writes' answers and of reads.
pub(crate) const CACHE_TOKEN: &str = "cache-token";

/// How new an answer must be: as new as the write whose token came with the request, if one did.
pub(super) struct AsNewAs(pub(super) Consistency);

impl<S: Sync> FromRequestParts<S> for AsNewAs {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        let Some(value) = parts.headers.get(CACHE_TOKEN) else { return Ok(Self(Consistency::Inherit)) };
        match value.to_str().ok().map(str::parse) {
            Some(Ok(token)) => Ok(Self(Consistency::Since(token))),
            _ => Err(AppError::refused(
                StatusCode::BAD_REQUEST,
                format!("{CACHE_TOKEN}: give what the answer to a write had in this header"),
            )),
        }
    }
}

/// Puts the token of a write into its answer.
pub(super) struct Proof(pub(super) Option<Token>);

impl IntoResponseParts for Proof {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Some(token) = self.0 {
            match HeaderValue::try_from(token.to_string()) {
                Ok(value) => parts.headers_mut().insert(CACHE_TOKEN, value),
                Err(_) => unreachable!("a token is digits and hyphens"),
            };
        }
        Ok(parts)
    }
}
