//! Encryption of what a cache keeps below memory: a data key for each tenant, wrapped by a master key.
//!
//! Applications use the crate `stratacache` with its feature `encryption`. Who keeps keys elsewhere implements
//! [`KeyWrap`] for a key management service that wraps, or `KeyProvider` for one that keeps them altogether.

mod aes;
mod file;
mod hex;
mod master;
mod memory;
mod random;
mod spawn;
mod wrap;

pub use aes::aes_256_gcm_siv;
pub use file::{FileKeys, FileKeysBuilder};
pub use master::{MasterKey, MasterKeys};
pub use memory::MemoryKeys;
pub use wrap::KeyWrap;
