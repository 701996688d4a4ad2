//! Who asks: tokens `tenant.expiry.signature`, signed by this server with HMAC-SHA256.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, Request, State},
    http::{header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use stratacache::TenantId;

use super::answer::unauthorized;
use crate::{
    clock,
    db::{CompanyRows, Db},
    mistake::Mistake,
};

/// The secrets of a server. Several nodes have the same ones.
pub(crate) struct Keys {
    secret: [u8; 32],
    admin_token: String,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Missing,
    Malformed,
    Forged,
    Expired,
}

impl Refused {
    const fn message(self) -> &'static str {
        match self {
            Self::Missing => "send `Authorization: Bearer <token>`",
            Self::Malformed => "the token is not of the form tenant.expiry.signature",
            Self::Forged => "the token's signature is wrong",
            Self::Expired => "the token has expired",
        }
    }
}

impl Keys {
    /// Makes secrets at random.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let (mut secret, mut admin) = ([0; 32], [0; 16]);
        getrandom::fill(&mut secret)?;
        getrandom::fill(&mut admin)?;
        Ok(Self { secret, admin_token: hex(&admin) })
    }

    /// Reads what [`Keys::to_text`] gave: 96 hexadecimal digits.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes = unhex(text)?;
        let (secret, admin) = bytes.split_first_chunk::<32>()?;
        (admin.len() == 16).then(|| Self { secret: *secret, admin_token: hex(admin) })
    }

    /// Returns the secrets as text, for the environment of another node.
    pub(crate) fn to_text(&self) -> String {
        hex(&self.secret) + &self.admin_token
    }

    /// Signs a token of a company.
    pub(crate) fn token(&self, company: &TenantId, lifetime: Duration) -> String {
        let claim = format!("{company}.{}", (clock::unix_time() + lifetime).as_secs());
        let signature = hex(&self.mac(&claim).finalize().into_bytes());
        format!("{claim}.{signature}")
    }

    /// Returns the token of the operators.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    fn mac(&self, claim: &str) -> Hmac<Sha256> {
        match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mac) => mac.chain_update(claim),
            Err(_) => unreachable!("HMAC takes keys of any length"),
        }
    }

    /// Returns the company that a token proves. A tenant may contain dots, so the token is read from its end.
    fn verify(&self, token: &str) -> Result<TenantId, Refused> {
        let (claim, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (company, expiry) = claim.rsplit_once('.').ok_or(Refused::Malformed)?;
        let signature = unhex(signature).ok_or(Refused::Malformed)?;
        // compares in constant time; nothing of the claim is believed before
        self.mac(claim).verify_slice(&signature).map_err(|_| Refused::Forged)?;
        let expiry = expiry.parse().map_err(|_| Refused::Malformed)?;
        if clock::unix_time().as_secs() >= expiry {
            return Err(Refused::Expired);
        }
        TenantId::parse(company).map_err(|_| Refused::Malformed)
    }

    fn is_admin(&self, token: &str) -> bool {
        // two MACs under a secret key: how long comparing them takes says nothing about the token
        let given = self.mac(token).finalize().into_bytes();
        self.mac(&self.admin_token).verify(&given).is_ok()
    }
}

fn bearer(request: &Request) -> Result<&str, Refused> {
    let value = request.headers().get(AUTHORIZATION).ok_or(Refused::Missing)?;
    value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or(Refused::Missing)
}

/// Lets requests of companies in, and says which company it is: to the cache's `Tenant`, and to [`CompanyRows`].
pub(super) async fn company(State(keys): State<Arc<Keys>>, mut request: Request, next: Next) -> Response {
    match bearer(&request).and_then(|token| keys.verify(token)) {
        Ok(company) => {
            request.extensions_mut().insert(tenant_of(&company));
            request.extensions_mut().insert(Company(company));
            next.run(request).await
        }
        Err(refused) => unauthorized(refused.message()),
    }
}

fn tenant_of(company: &TenantId) -> TenantId {
    if Mistake::OneCacheForAll.is_made() {
        return TenantId::from(0); // the mistake that the tour must find: everybody shares one cache
    }
    company.clone()
}

/// Lets operators in.
pub(super) async fn admin(State(keys): State<Arc<Keys>>, request: Request, next: Next) -> Response {
    match bearer(&request) {
        Ok(token) if keys.is_admin(token) => next.run(request).await,
        Ok(_) => unauthorized("this is not the admin token"),
        Err(refused) => unauthorized(refused.message()),
    }
}

/// The company that was proved.
#[derive(Clone)]
struct Company(TenantId);

impl<S> FromRequestParts<S> for CompanyRows
where
    Db: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match parts.extensions.get::<Company>() {
            Some(Company(company)) => Ok(Db::from_ref(state).of(company)),
            None => Err(unauthorized(Refused::Missing.message())),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests;
