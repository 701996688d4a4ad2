//! The same reads as they are without a cache, for the tour to compare with.

use axum::Json;
use stratacache::resource::{PageSource, QuerySource, Source};

use super::{
    answer::AppError,
    contacts::{Dashboard, Which},
    extract::{Path, Query},
};
use crate::db::{CompanyRows, Contact, Page, Statistics};

pub(super) async fn list(rows: CompanyRows, Query(which): Query<Which>) -> Result<Json<Page>, AppError> {
    Ok(Json(rows.page(&which.page).await?))
}

pub(super) async fn one(rows: CompanyRows, Path(id): Path<i64>) -> Result<Json<Contact>, AppError> {
    rows.one(&id).await?.map(Json).ok_or(AppError::NoSuchContact(id))
}

pub(super) async fn totals(rows: CompanyRows) -> Result<Json<Statistics>, AppError> {
    Ok(Json(rows.query(&()).await?))
}

pub(super) async fn dashboard(rows: CompanyRows) -> Result<Json<Dashboard<Statistics, Page>>, AppError> {
    let (statistics, contacts) = tokio::try_join!(rows.query(&()), rows.page(&1))?;
    Ok(Json(Dashboard { statistics, contacts }))
}
