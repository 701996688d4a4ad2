//! What operators see.

use axum::{Json, extract::State};
use serde::Serialize;
use stratacache::{Cache, Stats, TenantId};

use super::{answer::AppError, extract::Path};
use crate::db::Db;

/// `GET /admin/cache-stats/{tenant}`
pub(super) async fn cache_stats(
    State(cache): State<Cache>,
    Path(tenant): Path<String>,
) -> Result<Json<Stats>, AppError> {
    let tenant = TenantId::parse(tenant).map_err(AppError::BadTenant)?;
    Ok(Json(cache.tenant_stats(&tenant)))
}

/// What one node did since it was started.
#[derive(Serialize)]
pub(super) struct Node {
    sql_queries: u64,
    slow_queries: u64,
    /// Writes that other nodes have not been told of yet.
    writes_under_way: u64,
    cache: Stats,
}

/// `GET /admin/node`
pub(super) async fn node(State(cache): State<Cache>, State(db): State<Db>) -> Json<Node> {
    let stats = cache.stats();
    Json(Node {
        sql_queries: db.queries(),
        slow_queries: db.slow_queries(),
        writes_under_way: stats.invalidations_waiting.unwrap_or_default(),
        cache: stats,
    })
}
