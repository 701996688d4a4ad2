//! What operators see.

use axum::{Json, extract::State};
use stratacache::{Cache, Stats, TenantId};

use super::{answer::AppError, extract::Path};

/// `GET /admin/cache-stats/{tenant}`
pub(super) async fn cache_stats(
    State(cache): State<Cache>,
    Path(tenant): Path<String>,
) -> Result<Json<Stats>, AppError> {
    let tenant = TenantId::parse(tenant).map_err(AppError::BadTenant)?;
    Ok(Json(cache.tenant_stats(&tenant)))
}
