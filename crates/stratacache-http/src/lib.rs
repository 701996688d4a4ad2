//! Strata in [axum](https://docs.rs/axum) applications: the extractor that gives a handler the door to the data of the
//! tenant it works for.
//!
//! The tenant is the one that the application's authentication has put into the request's extensions as a
//! [`TenantId`](stratacache::TenantId). [`Tenant`] looks nowhere else: a handler behind no authentication answers 401,
//! and no client can choose a tenant with a header, unless [`TrustTenantHeader`] says so by name.
//!
//! ```
//! use axum::{Json, Router, extract::{FromRef, Path, Request, State}, middleware::{self, Next}};
//! use axum::{http::StatusCode, response::{IntoResponse, Response}, routing::get};
//! use stratacache::{Cache, Cached, Keyspace, Policy, TenantId, minutes};
//! use stratacache_http::Tenant;
//!
//! const PAGES: Keyspace<u32, Vec<String>> = Keyspace::new("contacts", Policy::ttl(minutes(5)));
//!
//! #[derive(Clone)]
//! struct App { cache: Cache }
//!
//! impl FromRef<App> for Cache {
//!     fn from_ref(app: &App) -> Self { app.cache.clone() }
//! }
//!
//! async fn list(Tenant(acme): Tenant, Path(page): Path<u32>) -> Result<Json<Cached<Vec<String>>>, StatusCode> {
//!     acme.get_or_load(PAGES.key(&page), async || Ok::<_, std::io::Error>(vec!["Ada".to_owned()]))
//!         .tag("contacts")
//!         .await
//!         .map(Json)
//!         .map_err(|_| StatusCode::BAD_GATEWAY)
//! }
//!
//! // verify a token, a session, a client certificate; then say whose data the request is about
//! async fn authenticate(mut request: Request, next: Next) -> Response {
//!     let verified = request.headers().get("authorization").is_some_and(|token| token == "Bearer of-acme");
//!     match TenantId::parse("acme") {
//!         Ok(tenant) if verified => { request.extensions_mut().insert(tenant); }
//!         _ => return StatusCode::UNAUTHORIZED.into_response(),
//!     }
//!     next.run(request).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app: Router = Router::new()
//!     .route("/contacts/{page}", get(list))
//!     .layer(middleware::from_fn(authenticate))
//!     .with_state(App { cache: Cache::builder().build().await? });
//!
//! # use {axum::body::Body, tower::ServiceExt};
//! let request = Request::get("/contacts/1").header("authorization", "Bearer of-acme").body(Body::empty())?;
//! assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
//! # Ok(()) }
//! ```

#[cfg(doctest)]
mod guide;
mod header;
mod rejection;
mod tenant;

pub use header::{TrustTenantHeader, TrustTenantHeaderService};
pub use rejection::TenantRejection;
pub use tenant::Tenant;
