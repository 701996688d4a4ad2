//! The tenant from a header, for those who ask for it by name.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request};
use stratacache::TenantId;
use tower_layer::Layer;
use tower_service::Service;

use crate::TenantRejection;

/// A layer that believes what a header says about the tenant.
///
/// **Anybody who can send a request can then choose a tenant.** Use it only where nothing but a gateway of yours can
/// reach the application, and where that gateway sets the header itself and strips what clients send under its name.
///
/// A tenant that authentication has put into the extensions before wins: the header is then not even read. A header
/// that is no tenant id, or is there twice, makes the [`Tenant`](crate::Tenant) extractor answer 400 with the reason; without
/// the header it answers 401.
///
/// ```
/// use axum::{Router, routing::get};
/// use stratacache_http::{Tenant, TrustTenantHeader};
///
/// async fn whoami(Tenant(acme): Tenant) -> String {
///     acme.tenant().map(ToString::to_string).unwrap_or_default()
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app: Router = Router::new()
///     .route("/", get(whoami))
///     .layer(TrustTenantHeader::new("x-tenant"))
///     .with_state(stratacache::Cache::builder().build().await?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct TrustTenantHeader {
    name: HeaderName,
}

impl TrustTenantHeader {
    /// Trusts the header of this name, in any case of letters.
    ///
    /// # Panics
    /// When the text cannot be the name of a header.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Self { name },
            Err(error) => panic!("{name:?} cannot be the name of a header: {error}"),
        }
    }
}

impl From<HeaderName> for TrustTenantHeader {
    fn from(name: HeaderName) -> Self {
        Self { name }
    }
}

impl<S> Layer<S> for TrustTenantHeader {
    type Service = TrustTenantHeaderService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TrustTenantHeaderService { inner, name: self.name.clone() }
    }
}

/// The service that [`TrustTenantHeader`] makes.
#[derive(Debug, Clone)]
pub struct TrustTenantHeaderService<S> {
    inner: S,
    name: HeaderName,
}

impl<S> TrustTenantHeaderService<S> {
    /// Returns the tenant that the header names, if the header is there.
    fn read<B>(&self, request: &Request<B>) -> Option<Result<TenantId, TenantRejection>> {
        let mut values = request.headers().get_all(&self.name).iter();
        let value = values.next()?;
        if values.next().is_some() {
            return Some(Err(TenantRejection::Repeated { header: self.name.clone() }));
        }
        Some(parse(value).map_err(|error| TenantRejection::Bad { header: self.name.clone(), error }))
    }
}

fn parse(value: &HeaderValue) -> stratacache::Result<TenantId> {
    // bytes that are no text are shown as such and refused by the id's own rules
    TenantId::parse(String::from_utf8_lossy(value.as_bytes()))
}

impl<S, B> Service<Request<B>> for TrustTenantHeaderService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if request.extensions().get::<TenantId>().is_none() {
            match self.read(&request) {
                Some(Ok(tenant)) => {
                    request.extensions_mut().insert(tenant);
                }
                // kept for the extractor to answer with, so that routes of no tenant are not concerned
                Some(Err(rejection)) => {
                    request.extensions_mut().insert(rejection);
                }
                None => {}
            }
        }
        self.inner.call(request)
    }
}
