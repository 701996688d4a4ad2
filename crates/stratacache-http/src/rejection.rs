//! Why a request has no tenant.

use std::{error::Error as StdError, fmt};

use axum_core::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use stratacache::Error;

/// Says why a request has no tenant.
///
/// As a response: 401 or 400 with a body such as
/// `{"error":"tenant_missing","message":"..."}`. A 401 names no scheme in `WWW-Authenticate`: only the application's
/// authentication, which should have answered before, knows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TenantRejection {
    /// Authentication has put no tenant into the request's extensions. 401.
    Missing,
    /// The trusted header is there, but it is no tenant id. 400.
    Bad {
        /// The name of the header.
        header: HeaderName,
        /// Which rule it breaks.
        error: Error,
    },
    /// The trusted header is there more than once. 400.
    Repeated {
        /// The name of the header.
        header: HeaderName,
    },
}

impl TenantRejection {
    /// Returns the status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::UNAUTHORIZED,
            Self::Bad { .. } | Self::Repeated { .. } => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "tenant_missing",
            Self::Bad { .. } => "tenant_bad",
            Self::Repeated { .. } => "tenant_repeated",
        }
    }
}

impl fmt::Display for TenantRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the request was not authenticated as belonging to a tenant"),
            // an error in words of its own, without the kind that logs want
            Self::Bad { header, error } => write!(f, "the header `{header}` names no tenant: {error}"),
            Self::Repeated { header } => write!(f, "the header `{header}` is there more than once"),
        }
    }
}

impl StdError for TenantRejection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Bad { error, .. } => Some(error),
            Self::Missing | Self::Repeated { .. } => None,
        }
    }
}

impl IntoResponse for TenantRejection {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.code(), "message": self.to_string() });
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status(), [json], body.to_string()).into_response()
    }
}
