//! What the errors of `object_store` mean.

use std::error::Error as StdError;

use http_body_util::LengthLimitError;
use object_store::client::{HttpError, HttpErrorKind};

use super::http::NotFine;
use crate::failure::Failure;

/// Looks through an error and its causes. Nothing of their texts is kept.
pub(super) fn understood(error: &object_store::Error) -> Failure {
    if let Some(answer) = cause::<NotFine>(error) {
        return answer.failure();
    }
    if cause::<LengthLimitError>(error).is_some() {
        return Failure::Oversized;
    }
    match cause::<HttpError>(error).map(HttpError::kind) {
        Some(HttpErrorKind::Connect) => Failure::Unreached,
        Some(HttpErrorKind::Timeout) => Failure::Hung,
        Some(_) => Failure::Broken,
        None => Failure::Strange,
    }
}

/// Returns the first cause of a type.
fn cause<T: StdError + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
