//! One bench in each file.

pub(crate) mod encoded;
pub(crate) mod encryption;
pub(crate) mod footprint;
pub(crate) mod hit;
pub(crate) mod insert;
pub(crate) mod latency;
pub(crate) mod load;
pub(crate) mod neighbour;
pub(crate) mod ratio;
pub(crate) mod tags;
pub(crate) mod tenants;
pub(crate) mod waiters;
pub(crate) mod warm;
