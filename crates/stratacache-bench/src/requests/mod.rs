//! Sequences of requests, made from seeds: what tenants ask for and in which order.

pub(crate) mod neighbours;
pub(crate) mod single;

/// One request of a tenant for one of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) tenant: u8,
    pub(crate) key: u32,
}
