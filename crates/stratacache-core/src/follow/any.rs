//! Sources of any type behind one handle.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{Batch, InvalidationSource, Lag, NextChanges, Position, SetAside};
use crate::Result;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait DynSource: Send + Sync + 'static {
    fn name(&self) -> &str;
    fn next(&self, request: NextChanges) -> Boxed<'_, Result<Batch>>;
    fn acknowledge(&self, through: Position) -> Boxed<'_, Result<()>>;
    fn set_aside(&self, changes: Vec<SetAside>) -> Boxed<'_, Result<()>>;
    fn lag(&self) -> Boxed<'_, Result<Lag>>;
    fn close(&self) -> Boxed<'_, Result<()>>;
}

impl<T: InvalidationSource> DynSource for T {
    fn name(&self) -> &str {
        InvalidationSource::name(self)
    }
    fn next(&self, request: NextChanges) -> Boxed<'_, Result<Batch>> {
        Box::pin(InvalidationSource::next(self, request))
    }
    fn acknowledge(&self, through: Position) -> Boxed<'_, Result<()>> {
        Box::pin(InvalidationSource::acknowledge(self, through))
    }
    fn set_aside(&self, changes: Vec<SetAside>) -> Boxed<'_, Result<()>> {
        Box::pin(InvalidationSource::set_aside(self, changes))
    }
    fn lag(&self) -> Boxed<'_, Result<Lag>> {
        Box::pin(InvalidationSource::lag(self))
    }
    fn close(&self) -> Boxed<'_, Result<()>> {
        Box::pin(InvalidationSource::close(self))
    }
}

/// A source of any type: cheap to clone, one allocation for each call.
#[derive(Clone)]
pub struct AnyInvalidationSource(Arc<dyn DynSource>);

impl AnyInvalidationSource {
    /// Wraps a source.
    pub fn new(source: impl InvalidationSource) -> Self {
        Self(Arc::new(source))
    }
}

impl InvalidationSource for AnyInvalidationSource {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn next(&self, request: NextChanges) -> impl Future<Output = Result<Batch>> + Send {
        self.0.next(request)
    }
    fn acknowledge(&self, through: Position) -> impl Future<Output = Result<()>> + Send {
        self.0.acknowledge(through)
    }
    fn set_aside(&self, changes: Vec<SetAside>) -> impl Future<Output = Result<()>> + Send {
        self.0.set_aside(changes)
    }
    fn lag(&self) -> impl Future<Output = Result<Lag>> + Send {
        self.0.lag()
    }
    fn close(&self) -> impl Future<Output = Result<()>> + Send {
        self.0.close()
    }
}

impl fmt::Debug for AnyInvalidationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyInvalidationSource").field(&self.0.name()).finish()
    }
}
