//! The extractor: whose door a request gets, and what it is told when it gets none.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{get, put},
};
use http_body_util::BodyExt;
use stratacache::{Cache, TenantId};
use stratacache_http::{Tenant, TrustTenantHeader};
use tower::ServiceExt;

async fn read(Tenant(acme): Tenant) -> String {
    acme.get::<String>("colour").await.map(|colour| colour.to_string()).unwrap_or_else(|| "nothing".to_owned())
}

async fn write(tenant: Tenant, colour: String) -> StatusCode {
    // through `Deref`
    match tenant.insert("colour", colour).await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Stands for an application's authentication.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if let Some(tenant) = token.and_then(|token| token.strip_prefix("Bearer token-of-")) {
        let tenant = TenantId::parse(tenant).expect("a tenant of the test");
        request.extensions_mut().insert(tenant);
    }
    next.run(request).await
}

async fn routes() -> Router {
    let cache = Cache::builder().build().await.expect("a cache");
    Router::new().route("/colour", get(read)).route("/colour", put(write)).with_state(cache)
}

async fn app() -> Router {
    routes().await.layer(middleware::from_fn(authenticate))
}

async fn ask(app: &Router, method: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri("/colour");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    let response = app.clone().oneshot(request).await.expect("a router does not fail");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

const ACME: (&str, &str) = ("authorization", "Bearer token-of-acme");
const BRICK: (&str, &str) = ("authorization", "Bearer token-of-brick");

fn message(body: &str) -> (String, String) {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    (text("error"), text("message"))
}

#[tokio::test]
async fn a_request_reaches_the_data_of_its_own_tenant_and_of_no_other() {
    let app = app().await;
    assert_eq!(ask(&app, "PUT", &[ACME], "red").await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&app, "GET", &[BRICK], "").await, (StatusCode::OK, "nothing".to_owned()));
    assert_eq!(ask(&app, "PUT", &[BRICK], "blue").await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&app, "GET", &[ACME], "").await, (StatusCode::OK, "red".to_owned()));
    assert_eq!(ask(&app, "GET", &[BRICK], "").await, (StatusCode::OK, "blue".to_owned()));
}

#[tokio::test]
async fn a_request_without_tenant_gets_401_and_is_told_why() {
    let (status, body) = ask(&app().await, "GET", &[], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (error, message) = message(&body);
    assert_eq!(error, "tenant_missing");
    assert!(message.contains("not authenticated"), "{message}");
}

#[tokio::test]
async fn a_header_chooses_no_tenant_unless_somebody_opted_in() {
    let app = app().await;
    ask(&app, "PUT", &[ACME], "red").await;
    for name in ["x-tenant", "x-tenant-id", "tenant", "tenant-id"] {
        assert_eq!(ask(&app, "GET", &[(name, "acme")], "").await.0, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(ask(&app, "GET", &[BRICK, (name, "acme")], "").await.1, "nothing", "{name}");
    }
}

#[tokio::test]
async fn a_trusted_header_chooses_the_tenant() {
    let app = routes().await.layer(TrustTenantHeader::new("X-Tenant"));
    assert_eq!(ask(&app, "PUT", &[("x-tenant", "acme")], "red").await.0, StatusCode::NO_CONTENT);
    assert_eq!(ask(&app, "GET", &[("x-tenant", "acme")], "").await.1, "red");
    assert_eq!(ask(&app, "GET", &[("x-tenant", "brick")], "").await.1, "nothing");
    assert_eq!(ask(&app, "GET", &[("x-other", "acme")], "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_trusted_header_that_is_no_tenant_gets_400_with_the_reason() {
    let app = routes().await.layer(TrustTenantHeader::new("x-tenant"));
    for (value, reason) in [
        ("", "empty"),
        ("../etc", "dot"),
        (".global", "dot"),
        ("a b", "contains"),
        ("caf\u{e9}", "contains"),
        (&*"a".repeat(65), "at most 64"),
    ] {
        let (status, body) = ask(&app, "GET", &[("x-tenant", value)], "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{value}");
        let (error, message) = message(&body);
        assert_eq!(error, "tenant_bad");
        assert!(message.contains("`x-tenant`") && message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn a_trusted_header_that_is_there_twice_gets_400() {
    let app = routes().await.layer(TrustTenantHeader::new("x-tenant"));
    let (status, body) = ask(&app, "GET", &[("x-tenant", "acme"), ("x-tenant", "brick")], "").await;
    assert_eq!((status, message(&body).0.as_str()), (StatusCode::BAD_REQUEST, "tenant_repeated"));
}

#[tokio::test]
async fn authentication_beats_a_trusted_header() {
    // the layer added last runs first
    let trusting = routes().await.layer(TrustTenantHeader::new("x-tenant")).layer(middleware::from_fn(authenticate));
    ask(&trusting, "PUT", &[("x-tenant", "acme")], "red").await;
    assert_eq!(ask(&trusting, "GET", &[BRICK, ("x-tenant", "acme")], "").await.1, "nothing");
    assert_eq!(ask(&trusting, "GET", &[BRICK, ("x-tenant", "../etc")], "").await.0, StatusCode::OK);
}

#[test]
#[should_panic(expected = "cannot be the name of a header")]
fn a_text_that_cannot_name_a_header_is_refused_at_once() {
    let _ = TrustTenantHeader::new("x tenant");
}
