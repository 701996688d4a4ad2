//! What a write costs the readers, and what its client is told while the cache cannot forget.

use stratacache::CacheBuilder;
use stratacache_testkit::shared::{SharedNode, SharedStore};

use super::*;

const DRAFT: &str = r#"{"name": "Zoe Zuse", "email": "z@mail.example", "city": "Bonn", "stage": "lead"}"#;

/// An application whose cache shares the order of invalidations with others.
async fn on_a_shared_store(change: impl FnOnce(CacheBuilder) -> CacheBuilder) -> (Client, SharedNode) {
    let dir = tempfile::tempdir().expect("a folder");
    let (db, keys) = Client::source(&dir).await;
    let node = SharedStore::new(1).node();
    let cache = change(Cache::builder().tier(node.parts())).build().await.expect("a cache");
    (Client { app: App { cache, db, keys }, _dir: dir }, node)
}

impl Client {
    /// Returns the SQL queries that a company's reads of a path cost.
    async fn queries(&self, n: u64, paths: &[&str]) -> Vec<u64> {
        let bearer = format!("Bearer {}", self.app.keys.token(&company(n), std::time::Duration::from_secs(60)));
        let mut queries = Vec::new();
        for path in paths {
            let before = self.app.db.queries();
            let (status, body) = self.get(path, &[("authorization", &bearer)]).await;
            assert_eq!(status, StatusCode::OK, "{path} {body}");
            queries.push(self.app.db.queries() - before);
        }
        queries
    }

    /// Writes as company 7. The answer to a delete has no body.
    async fn write(&self, method: &str, path: &str) -> (StatusCode, Value) {
        let bearer = format!("Bearer {}", self.token());
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.send(method, path, &headers, DRAFT).await
    }
}

#[tokio::test]
async fn a_save_reloads_that_contact_the_pages_and_the_statistics_of_its_company_and_nothing_else() {
    let client = Client::new().await;
    let (own, theirs) = (crate::db::contacts_of(7).start, crate::db::contacts_of(8).start);
    let one = |id: i64| format!("/contacts/{id}");
    let (saved, neighbour, foreign) = (one(own), one(own + 1), one(theirs));
    let of_seven = [&*saved, &*neighbour, "/contacts?page=1", "/contacts?page=2", "/statistics", "/dashboard"];
    let of_eight = [&*foreign, "/contacts?page=1", "/contacts?page=2", "/statistics", "/dashboard"];
    assert_eq!(client.queries(7, &of_seven).await, [1, 1, 1, 1, 1, 0]);
    assert_eq!(client.queries(8, &of_eight).await, [1, 1, 1, 1, 0]);
    for (method, path, status) in [
        ("PUT", &*saved, StatusCode::OK),
        ("POST", "/contacts", StatusCode::CREATED),
        ("DELETE", &*saved, StatusCode::NO_CONTENT),
        ("DELETE", &*saved, StatusCode::NOT_FOUND),
    ] {
        let (answered, body) = client.write(method, path).await;
        assert_eq!(answered, status, "{method} {path} {body}");
        let gone = method == "DELETE";
        let of_seven = if gone { &of_seven[1..] } else { &of_seven[..] };
        let again: &[u64] = match method {
            "PUT" => &[1, 0, 1, 1, 1, 0],
            "POST" => &[0, 0, 1, 1, 1, 0],
            _ => &[0, 1, 1, 1, 0],
        };
        assert_eq!(client.queries(7, of_seven).await, again, "{method} {path}");
        assert_eq!(client.queries(8, &of_eight).await, [0; 5], "{method} {path}");
    }
    assert_eq!(client.write("PUT", &saved).await.0, StatusCode::NOT_FOUND);
    client.app.close().await.expect("closed");
}

#[tokio::test]
async fn while_the_other_nodes_cannot_be_told_a_write_is_answered_by_503_and_is_told_them_later() {
    let (client, node) = on_a_shared_store(|builder| builder).await;
    let path = format!("/contacts/{}", crate::db::contacts_of(7).start);
    client.queries(7, &[&path]).await;
    node.away(true);
    let (status, body) = client.write("PUT", &path).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert!(body["error"].as_str().expect("a reason").contains("the write goes on"), "{body}");
    assert_eq!(client.app.cache.stats().invalidations_waiting, Some(1));
    node.away(false);
    while client.app.cache.stats().invalidations_waiting != Some(0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let bearer = format!("Bearer {}", client.token());
    let (_, contact) = client.get(&path, &[("authorization", &bearer)]).await;
    assert_eq!(contact["name"], "Zoe Zuse");
    client.app.close().await.expect("closed");
}

#[tokio::test]
async fn a_write_that_is_in_the_data_base_and_cannot_be_forgotten_is_answered_by_503_and_may_be_repeated() {
    let (client, node) = on_a_shared_store(|builder| builder.queued_invalidations(1)).await;
    let path = format!("/contacts/{}", crate::db::contacts_of(7).start);
    node.away(true);
    let (status, body) = client.write("PUT", &path).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert!(body["error"].as_str().expect("a reason").contains("write it again"), "{body}");
    node.away(false);
    let (status, contact) = client.write("PUT", &path).await;
    assert_eq!((status, contact["version"].as_i64()), (StatusCode::OK, Some(3)), "both were written");
    client.app.close().await.expect("closed");
}
