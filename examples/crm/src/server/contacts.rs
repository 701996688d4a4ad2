//! Contacts: read through the cache; a write is in the data base first, and then forgotten by the cache.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use stratacache::{
    Cached, Resource,
    resource::{Saved, Write},
};
use stratacache_http::Tenant;
use tokio::time::timeout;

use super::{
    answer::AppError,
    extract::{Body, Path, Query},
    token::{AsNewAs, Proof},
};
use crate::{
    db::{CompanyRows, Contact, Draft, Page, Statistics},
    mistake::Mistake,
};

/// How long a client waits for its write.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The contacts of the company that asks, read through its part of the cache.
pub(super) struct Contacts(pub(super) Resource<CompanyRows>);

impl<S> FromRequestParts<S> for Contacts
where
    CompanyRows: FromRequestParts<S, Rejection = Response>,
    S: Send + Sync,
    Tenant: FromRequestParts<S, Rejection: IntoResponse>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Tenant(acme) = Tenant::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self(Resource::new(&acme, CompanyRows::from_request_parts(parts, state).await?)))
    }
}

impl Contacts {
    /// Returns what is written through.
    fn into_written(self) -> Resource<CompanyRows> {
        if Mistake::NothingInvalidated.is_made() {
            // the mistake that the tour must find: writes invalidate what nobody reads
            let elsewhere = self.0.namespace().namespace("elsewhere");
            return Resource::new(&elsewhere, self.0.source().clone());
        }
        self.0
    }
}

#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default = "first")]
    pub(super) page: u32,
}

const fn first() -> u32 {
    1
}

/// A company at a glance: what it did and sold, and its first contacts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dashboard<S, P> {
    pub(crate) statistics: S,
    pub(crate) contacts: P,
}

/// `GET /contacts?page=1`
pub(super) async fn list(
    Contacts(contacts): Contacts,
    AsNewAs(consistency): AsNewAs,
    Query(which): Query<Which>,
) -> Result<Json<Cached<Page>>, AppError> {
    Ok(Json(contacts.page(which.page).consistency(consistency).await?))
}

/// `GET /contacts/{id}`
pub(super) async fn one(
    Contacts(contacts): Contacts,
    AsNewAs(consistency): AsNewAs,
    Path(id): Path<i64>,
) -> Result<Json<Cached<Contact>>, AppError> {
    contacts.one(id).consistency(consistency).await?.map(Json).ok_or(AppError::NoSuchContact(id))
}

/// `GET /statistics`: a slow query that one reader pays for and all others wait for.
pub(super) async fn totals(
    Contacts(contacts): Contacts,
    AsNewAs(consistency): AsNewAs,
) -> Result<Json<Cached<Statistics>>, AppError> {
    Ok(Json(contacts.query(()).consistency(consistency).await?))
}

/// `GET /dashboard`: made of cached parts, so it needs no entry of its own.
pub(super) async fn dashboard(
    Contacts(contacts): Contacts,
    AsNewAs(consistency): AsNewAs,
) -> Result<Json<Dashboard<Cached<Statistics>, Cached<Page>>>, AppError> {
    let (statistics, contacts) = tokio::try_join!(
        contacts.query(()).consistency(consistency).into_future(),
        contacts.page(1).consistency(consistency).into_future()
    )?;
    Ok(Json(Dashboard { statistics, contacts }))
}

/// Waits for a write until no node serves what was there before, but not for ever: it goes on by itself, also when the client hangs
/// up, and while Redis is away its invalidation is repeated.
async fn written(write: Write<'_, CompanyRows>) -> Result<(Proof, Saved<CompanyRows>), AppError> {
    let settled = async {
        let saved = write.or_queue().await?;
        let token = saved.settled().await.map_err(AppError::Forget)?;
        Ok((Proof(token), saved))
    };
    timeout(PATIENCE, settled).await.unwrap_or(Err(AppError::UnderWay))
}

/// `POST /contacts`
pub(super) async fn create(
    contacts: Contacts,
    Body(draft): Body<Draft>,
) -> Result<(StatusCode, Proof, Json<Contact>), AppError> {
    let (proof, saved) = written(contacts.into_written().save((None, draft))).await?;
    let contact = saved.into_item().ok_or(AppError::Interrupted)?;
    Ok((StatusCode::CREATED, proof, Json(Arc::unwrap_or_clone(contact))))
}

/// `PUT /contacts/{id}`
pub(super) async fn update(
    contacts: Contacts,
    Path(id): Path<i64>,
    Body(draft): Body<Draft>,
) -> Result<(Proof, Json<Contact>), AppError> {
    let (proof, saved) = written(contacts.into_written().save((Some(id), draft))).await?;
    let contact = saved.into_item().ok_or(AppError::NoSuchContact(id))?;
    Ok((proof, Json(Arc::unwrap_or_clone(contact))))
}

/// `DELETE /contacts/{id}`: forgotten also if it is gone already.
pub(super) async fn remove(contacts: Contacts, Path(id): Path<i64>) -> Result<(StatusCode, Proof, ()), AppError> {
    let (proof, saved) = written(contacts.into_written().delete(id)).await?;
    if saved.is_changed() { Ok((StatusCode::NO_CONTENT, proof, ())) } else { Err(AppError::NoSuchContact(id)) }
}
