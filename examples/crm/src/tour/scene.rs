//! What all visitors share: the server, their tokens, and the witness.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use serde::de::DeserializeOwned;

use super::{
    client::{Reply, Visitor},
    witness::Witness,
};
use crate::{
    db::{COMPANIES, Contact, Page, company},
    server::Keys,
};

/// Longer than the tour.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// All companies' names and tokens.
pub(super) struct Companies(Box<[(String, String)]>);

impl Companies {
    pub(super) fn new(keys: &Keys) -> Self {
        let signed = |n| (company(n).to_string(), keys.token(&company(n), TOKEN_LIFETIME));
        Self((0..COMPANIES).map(signed).collect())
    }

    /// Returns the name of a company.
    pub(super) fn name(&self, company: u64) -> &str {
        &self.0[company as usize].0
    }

    /// Returns the token of a company.
    pub(super) fn token(&self, company: u64) -> &str {
        &self.0[company as usize].1
    }
}

/// A server, who may talk to it, and who watches.
pub(super) struct Scene {
    pub(super) address: SocketAddr,
    pub(super) witness: Arc<Witness>,
    companies: Companies,
}

impl Scene {
    pub(super) fn new(address: SocketAddr, keys: &Keys, witness: &Arc<Witness>) -> Arc<Self> {
        Arc::new(Self { address, witness: Arc::clone(witness), companies: Companies::new(keys) })
    }

    /// Returns the name of a company.
    pub(super) fn name(&self, company: u64) -> &str {
        self.companies.name(company)
    }

    /// Returns the token of a company.
    pub(super) fn token(&self, company: u64) -> &str {
        self.companies.token(company)
    }

    /// Returns what a good answer says; any other is a violation.
    pub(super) fn expect<T: DeserializeOwned>(&self, reply: &Reply) -> Option<T> {
        reply.json().map_err(|error| self.witness.unexpected(|| error.to_string())).ok()
    }

    /// Reads a contact, under the eyes of the witness.
    pub(super) async fn contact(&self, visitor: &mut Visitor, company: u64, id: i64) -> Result<Option<Contact>> {
        let began = self.witness.now();
        let reply = visitor.get(&format!("/contacts/{id}"), self.token(company)).await?;
        let contact: Option<Contact> = self.expect(&reply);
        self.witness.contacts(self.name(company), contact.as_slice(), began);
        Ok(contact)
    }

    /// Reads a page, under the eyes of the witness.
    pub(super) async fn page(&self, visitor: &mut Visitor, company: u64, number: u32) -> Result<Option<Page>> {
        let began = self.witness.now();
        let reply = visitor.get(&format!("/contacts?page={number}"), self.token(company)).await?;
        let page: Option<Page> = self.expect(&reply);
        if let Some(page) = &page {
            self.witness.contacts(self.name(company), &page.contacts, began);
        }
        Ok(page)
    }
}
