//! What handlers take from a request: axum's extractors, but a request that they refuse is answered like any other error.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::request::Parts,
};

use super::answer::AppError;

/// A part of the path.
pub(super) struct Path<T>(pub(super) T);

/// What follows the question mark.
pub(super) struct Query<T>(pub(super) T);

/// The body, as JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    axum::extract::Path<T>: FromRequestParts<S, Rejection = PathRejection>,
    S: Send + Sync,
{
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found.map(|found| Self(found.0)).map_err(|refused| AppError::refused(refused.status(), refused.body_text()))
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    axum::extract::Query<T>: FromRequestParts<S, Rejection = QueryRejection>,
    S: Send + Sync,
{
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|found| Self(found.0)).map_err(|refused| AppError::refused(refused.status(), refused.body_text()))
    }
}

impl<T, S> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
    S: Send + Sync,
{
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let found = Json::<T>::from_request(request, state).await;
        found.map(|found| Self(found.0)).map_err(|refused| AppError::refused(refused.status(), refused.body_text()))
    }
}
