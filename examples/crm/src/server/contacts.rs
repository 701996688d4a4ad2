//! Contacts: read through the cache; written to the data base first, then forgotten by the cache.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use stratacache::{Cached, Keyspace, LoadError, Namespace, Policy, Target, hours, minutes};
use stratacache_http::Tenant;

use super::{
    answer::AppError,
    extract::{Body, Path, Query},
    writes::Writes,
};
use crate::db::{CompanyRows, Contact, DbError, Draft, Page};

pub(super) const PAGES: Keyspace<u32, Page> =
    Keyspace::new("contact-pages", Policy::ttl(minutes(10)).stale_if_error(hours(1)));
pub(super) const CONTACT: Keyspace<i64, Contact> =
    Keyspace::new("contact", Policy::ttl(minutes(10)).stale_if_error(hours(1)));

/// On everything made of many contacts: whichever changes, all of it is made again.
pub(super) const CONTACTS: &str = "contacts";

/// On what is made of one contact.
fn of_contact(id: i64) -> (&'static str, i64) {
    ("contact", id)
}

#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default = "first")]
    pub(super) page: u32,
}

const fn first() -> u32 {
    1
}

/// `GET /contacts?page=1`
pub(super) async fn list(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    Query(which): Query<Which>,
) -> Result<Json<Cached<Page>>, AppError> {
    Ok(Json(page(&acme, rows, which.page).await?))
}

/// A page of contacts, from the cache if it can be.
pub(super) async fn page(acme: &Namespace, rows: CompanyRows, number: u32) -> Result<Cached<Page>, LoadError<DbError>> {
    acme.get_or_load(PAGES.key(&number), async move || rows.page(number).await).tag(CONTACTS).await
}

/// `GET /contacts/{id}`
pub(super) async fn one(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    Path(id): Path<i64>,
) -> Result<Json<Cached<Contact>>, AppError> {
    let found =
        acme.get_or_load_optional(CONTACT.key(&id), async move || rows.contact(id).await).tag(of_contact(id)).await?;
    found.map(Json).ok_or(AppError::NoSuchContact(id))
}

/// `POST /contacts`
pub(super) async fn create(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    State(writes): State<Writes>,
    Body(draft): Body<Draft>,
) -> Result<(StatusCode, Json<Contact>), AppError> {
    writes
        .run(async move {
            let contact = rows.create(draft).await?;
            forget(&acme, contact.id).await?;
            Ok((StatusCode::CREATED, Json(contact)))
        })
        .await
}

/// `PUT /contacts/{id}`
pub(super) async fn update(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    State(writes): State<Writes>,
    Path(id): Path<i64>,
    Body(draft): Body<Draft>,
) -> Result<Json<Contact>, AppError> {
    writes
        .run(async move {
            let contact = rows.update(id, draft).await?.ok_or(AppError::NoSuchContact(id))?;
            forget(&acme, id).await?;
            Ok(Json(contact))
        })
        .await
}

/// `DELETE /contacts/{id}`
pub(super) async fn remove(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    State(writes): State<Writes>,
    Path(id): Path<i64>,
) -> Result<StatusCode, AppError> {
    writes
        .run(async move {
            if !rows.delete(id).await? {
                return Err(AppError::NoSuchContact(id));
            }
            forget(&acme, id).await?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// Invalidates what was made of a contact that has changed. Once this has returned, nobody is given what was there
/// before; so call it after the commit and before the answer.
async fn forget(acme: &Namespace, id: i64) -> Result<(), AppError> {
    if cfg!(feature = "broken-invalidation") {
        return Ok(()); // the mistake that the tour must find
    }
    acme.invalidate([Target::tag(CONTACTS), Target::tag(of_contact(id))]).await.map(|_| ()).map_err(AppError::Forget)
}
