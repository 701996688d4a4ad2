//! Locks and atomics, in one place so that the schedule explorer of the tests can take theirs.

pub(crate) use parking_lot::{Mutex, RwLock};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
