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

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::Request, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_read_is_as_new_as_the_write_whose_token_it_has() {
        let token: Token = "3-beef-42".parse().expect("a token");
        let read = async move |AsNewAs(consistency): AsNewAs| format!("{:?}", consistency == Consistency::Since(token));
        let app = Router::new().route("/", get(read).put(async move || (Proof(Some(token)), "written")));
        let send = async |request: Request<Body>| app.clone().oneshot(request).await.expect("an answer");

        let written = send(Request::put("/").body(Body::empty()).expect("a request")).await;
        let given = written.headers().get(CACHE_TOKEN).expect("the token of the write").clone();
        for (handed, new) in [(Some(given), "true"), (None, "false")] {
            let mut request = Request::get("/").body(Body::empty()).expect("a request");
            if let Some(given) = handed {
                request.headers_mut().insert(CACHE_TOKEN, given);
            }
            let body = send(request).await.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, new);
        }
    }
}
