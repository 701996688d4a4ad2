//! What a company did and sold: a slow query that one reader pays for and all others wait for.

use axum::Json;
use serde::{Deserialize, Serialize};
use stratacache::{Cached, Consistency, Keyspace, LoadError, Namespace, Policy, hours, minutes};
use stratacache_http::Tenant;

use super::{
    answer::AppError,
    contacts::{CONTACTS, page},
    token::AsNewAs,
};
use crate::db::{CompanyRows, DbError, Page, Statistics};

/// One entry for each company.
pub(super) const STATISTICS: Keyspace<(), Statistics> =
    Keyspace::new("statistics", Policy::ttl(minutes(10)).stale_if_error(hours(1)));

/// A company at a glance: what it did and sold, and its first contacts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dashboard<S, P> {
    pub(crate) statistics: S,
    pub(crate) contacts: P,
}

async fn statistics(
    acme: &Namespace,
    rows: CompanyRows,
    consistency: Consistency,
) -> Result<Cached<Statistics>, LoadError<DbError>> {
    acme.get_or_load(STATISTICS.key(&()), async move || rows.statistics().await)
        .tag(CONTACTS)
        .consistency(consistency)
        .await
}

/// `GET /statistics`
pub(super) async fn totals(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    AsNewAs(consistency): AsNewAs,
) -> Result<Json<Cached<Statistics>>, AppError> {
    Ok(Json(statistics(&acme, rows, consistency).await?))
}

/// `GET /dashboard`: made of cached parts, so it needs no entry of its own.
pub(super) async fn dashboard(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    AsNewAs(consistency): AsNewAs,
) -> Result<Json<Dashboard<Cached<Statistics>, Cached<Page>>>, AppError> {
    let (statistics, contacts) =
        tokio::try_join!(statistics(&acme, rows.clone(), consistency), page(&acme, rows, 1, consistency))?;
    Ok(Json(Dashboard { statistics, contacts }))
}
