//! Encryption below memory: who has no key reads nothing, who moves or changes an entry is refused, and a tenant whose keys
//! are destroyed is gone from every copy there is.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

#[path = "encryption/copies.rs"]
mod copies;
#[path = "encryption/destroyed.rs"]
mod destroyed;
#[path = "encryption/forged.rs"]
mod forged;
#[path = "encryption/kit.rs"]
mod kit;
#[path = "encryption/providers.rs"]
mod providers;
#[path = "encryption/sealed.rs"]
mod sealed;
