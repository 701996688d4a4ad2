//! Who is let in, and what the others are told.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::db::company;

mod writes;

struct Client {
    app: App,
    // removed when the test ends
    _dir: tempfile::TempDir,
}

impl Client {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (db, keys) = Self::source(&dir).await;
        let below = Below { near: Near::Disk(dir.path().join("cache")), object: None, keys: None };
        let app = App::new(db, keys, 8 << 20, &below).await.expect("an application");
        Self { app, _dir: dir }
    }

    async fn source(dir: &tempfile::TempDir) -> (Db, Arc<Keys>) {
        let db = Db::open(&dir.path().join("crm.db")).await.expect("a data base");
        (db, Arc::new(Keys::generate().expect("random bytes")))
    }

    fn token(&self) -> String {
        self.app.keys.token(&company(7), std::time::Duration::from_secs(60))
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        self.send("GET", path, headers, "").await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = routes(self.app.clone()).oneshot(request).await.expect("a router does not fail");
        let status = response.status();
        let later = response.headers().contains_key("retry-after");
        assert_eq!(later, status == StatusCode::SERVICE_UNAVAILABLE, "503 says when to ask again");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            assert!(response.headers().contains_key("allow"), "405 says which methods there are");
        }
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        if status == StatusCode::NO_CONTENT {
            return (status, Value::Null);
        }
        (status, serde_json::from_slice(&body).expect("every answer is JSON"))
    }
}

#[tokio::test]
async fn only_a_token_of_this_server_lets_a_company_in() {
    let client = Client::new().await;
    let token = client.token();
    let signed_by_another =
        Keys::generate().expect("random bytes").token(&company(7), std::time::Duration::from_secs(60));
    for path in ["/contacts", "/contacts/1", "/statistics", "/dashboard"] {
        for (headers, reason) in [
            (vec![], "send `Authorization: Bearer"),
            (vec![("x-tenant", "company-007".to_owned())], "send `Authorization: Bearer"),
            (vec![("authorization", token.clone())], "send `Authorization: Bearer"),
            (vec![("authorization", "Bearer company-007".to_owned())], "not of the form"),
            (vec![("authorization", format!("Bearer {signed_by_another}"))], "signature is wrong"),
            (vec![("authorization", format!("Bearer {}", client.app.keys.admin_token()))], "not of the form"),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (status, body) = client.get(path, &headers).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
            assert!(body["error"].as_str().expect("a reason").contains(reason), "{body}");
        }
    }
    let (status, page) = client.get("/contacts?page=2", &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!((status, page["number"].as_u64()), (StatusCode::OK, Some(2)));
    assert_eq!(page["contacts"][0]["tenant"], "company-007");
    client.app.close().await.expect("closed");
}

#[tokio::test]
async fn only_the_admin_token_shows_the_statistics_of_the_cache() {
    let client = Client::new().await;
    let company_token = format!("Bearer {}", client.token());
    let admin_token = format!("Bearer {}", client.app.keys.admin_token());
    client.get("/contacts", &[("authorization", &company_token)]).await;
    let path = "/admin/cache-stats/company-007";
    assert_eq!(client.get(path, &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get(path, &[("authorization", &company_token)]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/admin/node", &[("authorization", &company_token)]).await.0, StatusCode::UNAUTHORIZED);
    let (status, node) = client.get("/admin/node", &[("authorization", &admin_token)]).await;
    assert_eq!((status, &node["sql_queries"], &node["writes_under_way"]), (StatusCode::OK, &1.into(), &0.into()));
    let (status, stats) = client.get(path, &[("authorization", &admin_token)]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(stats["loads"].is_u64() && stats["memory_hits"].is_u64(), "{stats}");
    let (status, body) = client.get("/admin/cache-stats/.hidden", &[("authorization", &admin_token)]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["error"].as_str().expect("a reason").contains("dot"), "{body}");
    client.app.close().await.expect("closed");
}

#[tokio::test]
async fn a_request_that_is_not_understood_is_told_why_in_the_same_json_as_every_error() {
    let client = Client::new().await;
    let bearer = format!("Bearer {}", client.token());
    let auth = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(3 << 20));
    for (method, path, headers, body, status, reason) in [
        ("GET", "/contacts/seven", vec![auth], "", 400, "seven"),
        ("PUT", "/contacts/99999999999999999999", vec![auth, json], "{}", 400, "i64"),
        ("DELETE", "/contacts/1.5", vec![auth], "", 400, "1.5"),
        ("GET", "/contacts/1", vec![auth, ("cache-token", "x")], "", 400, "cache-token: give what"),
        ("GET", "/contacts?page=first", vec![auth], "", 400, "page"),
        ("GET", "/contacts?page=-1", vec![auth], "", 400, "page"),
        ("POST", "/contacts", vec![auth, json], "{", 400, "JSON"),
        ("POST", "/contacts", vec![auth, json], "{}", 422, "missing field"),
        ("PUT", "/contacts/1", vec![auth, json], "[1]", 422, "JSON"),
        ("POST", "/contacts", vec![auth], "{}", 415, "application/json"),
        ("POST", "/contacts", vec![auth, json], &long, 413, "limit"),
        ("PATCH", "/contacts", vec![auth], "", 405, "/contacts cannot be asked for by PATCH"),
        ("PATCH", "/contacts", vec![], "", 401, "send `Authorization: Bearer"),
        ("GET", "/contact", vec![auth], "", 404, "there is no /contact"),
    ] {
        let (answered, error) = client.send(method, path, &headers, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path} {error}");
        let fields: Vec<_> = error.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["error"], "{method} {path} {error}");
        assert!(error["error"].as_str().expect("a text").contains(reason), "{method} {path} {error}");
    }
    let admin = format!("Bearer {}", client.app.keys.admin_token());
    let admin = ("authorization", admin.as_str());
    for (method, path, status) in [("POST", "/admin/cache-stats/acme", 405), ("GET", "/admin/cache-stats/%FF", 400)] {
        let (answered, error) = client.send(method, path, &[admin], "").await;
        assert_eq!(answered.as_u16(), status, "{method} {path} {error}");
        assert!(error["error"].is_string(), "{error}");
    }
    client.app.close().await.expect("closed");
}
