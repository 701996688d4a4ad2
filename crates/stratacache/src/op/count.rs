//! `increment` and `decrement`.

use std::{future::IntoFuture, sync::Arc};

use stratacache_core::{Error, ErrorKind, Key, Result};

use super::{
    BoxFuture,
    options::{Options, options},
    update::Changing,
};
use crate::{
    codec::CacheValue,
    engine::{Change, Door},
    memory::Held,
};

/// An integer that can be counted with: `i64`, `u64`, `i32` or `u32`.
pub trait Number: CacheValue + Copy + sealed::Sealed {
    /// Zero, where a counter begins.
    #[doc(hidden)]
    const ZERO: Self;

    /// Adds; `None` if the sum is none of the type.
    #[doc(hidden)]
    fn plus(self, by: Self) -> Option<Self>;

    /// Subtracts; `None` if the difference is none of the type.
    #[doc(hidden)]
    fn minus(self, by: Self) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl sealed::Sealed for $number {}
        impl Number for $number {
            const ZERO: Self = 0;

            fn plus(self, by: Self) -> Option<Self> {
                self.checked_add(by)
            }

            fn minus(self, by: Self) -> Option<Self> {
                self.checked_sub(by)
            }
        }
    )+};
}
numbers!(i64, u64, i32, u32);

/// One step of a counter. Made by [`Namespace::increment`](crate::Namespace::increment) and
/// [`Namespace::decrement`](crate::Namespace::decrement).
#[must_use = "nothing happens until it is awaited"]
pub struct Count<'a, N: 'static> {
    changing: Changing<'a, N>,
    options: Options,
}

impl<'a, N: Number> Count<'a, N> {
    pub(crate) fn new(door: &'a Arc<Door>, key: Key<N>, step: impl Fn(N) -> Option<N> + Send + 'static) -> Self {
        let change = Box::new(move |count: Option<&N>| {
            let count = count.copied().unwrap_or(N::ZERO);
            let stepped = step(count).ok_or_else(|| {
                let message = "the counter would leave the range of its type; it is as it was";
                Error::new(ErrorKind::OutOfRange, message)
            })?;
            Ok(Change::Set(Held::Own(stepped)))
        });
        Self { changing: Changing { door, key, change }, options: Options::default() }
    }
}

impl<N: 'static> Count<'_, N> {
    options!(policy);
    options!(tags);
    options!(tiers);
}

impl<'a, N: Number> IntoFuture for Count<'a, N> {
    type Output = Result<N>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let changed = self.changing.run(self.options).await?;
            let count = changed.after.as_ref().and_then(|entry| entry.value().copied());
            count.ok_or_else(|| Error::new(ErrorKind::Internal, "a counter without a value"))
        })
    }
}
