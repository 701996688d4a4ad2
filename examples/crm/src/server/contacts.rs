//! Contacts: read through the cache; written to the data base first, then forgotten by the cache.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use stratacache::{Cached, Consistency, Keyspace, LoadError, Namespace, Policy, hours, minutes};
use stratacache_http::Tenant;

use super::{
    answer::AppError,
    extract::{Body, Path, Query},
    forget::forget,
    token::{AsNewAs, Proof},
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
pub(super) fn of_contact(id: i64) -> (&'static str, i64) {
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
    AsNewAs(consistency): AsNewAs,
    Query(which): Query<Which>,
) -> Result<Json<Cached<Page>>, AppError> {
    Ok(Json(page(&acme, rows, which.page, consistency).await?))
}

/// A page of contacts, from the cache if it can be.
pub(super) async fn page(
    acme: &Namespace,
    rows: CompanyRows,
    number: u32,
    consistency: Consistency,
) -> Result<Cached<Page>, LoadError<DbError>> {
    acme.get_or_load(PAGES.key(&number), async move || rows.page(number).await)
        .tag(CONTACTS)
        .consistency(consistency)
        .await
}

/// `GET /contacts/{id}`
pub(super) async fn one(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    AsNewAs(consistency): AsNewAs,
    Path(id): Path<i64>,
) -> Result<Json<Cached<Contact>>, AppError> {
    let found = acme
        .get_or_load_optional(CONTACT.key(&id), async move || rows.contact(id).await)
        .tag(of_contact(id))
        .consistency(consistency)
        .await?;
    found.map(Json).ok_or(AppError::NoSuchContact(id))
}

/// `POST /contacts`
pub(super) async fn create(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    State(writes): State<Writes>,
    Body(draft): Body<Draft>,
) -> Result<(StatusCode, Proof, Json<Contact>), AppError> {
    writes
        .run(async move {
            let contact = rows.create(draft).await?;
            let token = forget(&acme, contact.id).await?;
            Ok((StatusCode::CREATED, Proof(token), Json(contact)))
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
) -> Result<(Proof, Json<Contact>), AppError> {
    writes
        .run(async move {
            let contact = rows.update(id, draft).await?.ok_or(AppError::NoSuchContact(id))?;
            let token = forget(&acme, id).await?;
            Ok((Proof(token), Json(contact)))
        })
        .await
}

/// `DELETE /contacts/{id}`
pub(super) async fn remove(
    Tenant(acme): Tenant,
    rows: CompanyRows,
    State(writes): State<Writes>,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Proof, ()), AppError> {
    writes
        .run(async move {
            let was_there = rows.delete(id).await?;
            // also if it is gone: the node that removed it may have died before its turn to say so
            let token = forget(&acme, id).await?;
            if was_there { Ok((StatusCode::NO_CONTENT, Proof(token), ())) } else { Err(AppError::NoSuchContact(id)) }
        })
        .await
}
