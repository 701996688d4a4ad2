//! What `#[cached]` expands to names besides the public API. Not for use by hand, and without promises.

use std::{borrow::Borrow, marker::PhantomData};

/// A `Result`, whatever alias it is written by.
pub trait Outcome {
    /// The type of its error.
    type Error;
}

impl<V, E> Outcome for Result<V, E> {
    type Error = E;
}

/// What a reference becomes when it goes into a load, which may outlive the caller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cloned into the load of a cached function",
    label = "the load may outlive this reference, so it needs a clone that is `Send + 'static`",
    note = "implement `Clone` (for a service: a few handles such as pools and `Arc`s), or take an `Arc` of it by value: `self: Arc<Self>`, `db: Arc<Db>`"
)]
pub trait IntoLoad {
    /// What the load holds.
    type Held: Borrow<Self> + Send + 'static;

    /// Makes a clone for the load.
    fn held(&self) -> Self::Held;
}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: Send + 'static> + ?Sized> IntoLoad for T {
    type Held = T::Owned;

    fn held(&self) -> T::Owned {
        self.to_owned()
    }
}

/// A clone that a load holds, of what a caller has as a `&T`.
pub struct Owned<T: ?Sized, H>(H, PhantomData<fn(&T)>);

/// Makes a clone for the load.
pub fn owned<T: IntoLoad + ?Sized>(value: &T) -> Owned<T, T::Held> {
    Owned(value.held(), PhantomData)
}

impl<T: ?Sized, H: Borrow<T>> Owned<T, H> {
    /// Returns what the body of the function sees in place of the caller's reference.
    pub fn get(&self) -> &T {
        self.0.borrow()
    }
}

// for a load that is tried again
impl<T: ?Sized, H: Clone> Clone for Owned<T, H> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T: ?Sized, H> std::fmt::Debug for Owned<T, H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owned(..)")
    }
}
