//! The extractor.

use std::ops::Deref;

use axum_core::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use stratacache::{Cache, Namespace, TenantId};

use crate::TenantRejection;

/// The door to the data of the tenant a request works for, as an argument of a handler.
///
/// Reads the [`TenantId`] that authentication has put into the request's extensions, and nothing else: no header, no
/// path, no query. The [`Cache`] comes from the router's state (`Cache: FromRef<State>`).
///
/// # Errors
/// Answers 401 with a JSON body when there is no tenant, and 400 when [`TrustTenantHeader`](crate::TrustTenantHeader)
/// found a header that names none.
///
/// ```
/// # use stratacache_http::Tenant;
/// async fn forget_everything(Tenant(acme): Tenant) -> Result<(), http::StatusCode> {
///     acme.clear().await.map(|_| ()).map_err(|_| http::StatusCode::SERVICE_UNAVAILABLE)
/// }
/// # let _: axum::Router<stratacache::Cache> = axum::Router::new().route("/", axum::routing::delete(forget_everything));
/// ```
#[derive(Debug, Clone)]
pub struct Tenant(pub Namespace);

impl Deref for Tenant {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Tenant
where
    Cache: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = TenantRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, TenantRejection> {
        if let Some(id) = parts.extensions.get::<TenantId>() {
            return Ok(Self(Cache::from_ref(state).tenant(id)));
        }
        // what was wrong with a header that is trusted, if one is
        Err(parts.extensions.get::<TenantRejection>().cloned().unwrap_or(TenantRejection::Missing))
    }
}
