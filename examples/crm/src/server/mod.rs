//! The application: its state, its routes, its life.

mod admin;
mod answer;
mod auth;
mod below;
mod contacts;
mod extract;
mod token;
mod uncached;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::FromRef, middleware, routing::get};
use stratacache::{Cache, Resource};
use tokio::{net::TcpListener, sync::oneshot};

pub(crate) use auth::Keys;
pub(crate) use below::{Below, Bucket, Extras, Near, ObjectStore};
pub(crate) use contacts::Dashboard;
pub(crate) use token::CACHE_TOKEN;

use crate::db::{CompanyRows, Db};

/// What every handler can ask for.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) cache: Cache,
    pub(crate) db: Db,
    pub(crate) keys: Arc<Keys>,
}

impl App {
    /// Builds the cache, memory over disk or Redis and perhaps objects, beside the data base.
    pub(crate) async fn new(
        db: Db,
        keys: Arc<Keys>,
        memory_bytes: u64,
        below: &Below,
    ) -> Result<Self, stratacache::Error> {
        let builder = Cache::builder()
            .memory(memory_bytes)
            .keyspace(Resource::<CompanyRows>::ITEMS)
            .keyspace(Resource::<CompanyRows>::PAGES)
            .keyspace(Resource::<CompanyRows>::QUERIES);
        let cache = below.open(builder).await?.build().await?;
        Ok(Self { cache, db, keys })
    }

    /// Closes the cache, which waits for the writes under way. The server must have stopped before.
    pub(crate) async fn close(&self) -> Result<(), stratacache::Error> {
        self.cache.close().await
    }
}

impl FromRef<App> for Cache {
    fn from_ref(app: &App) -> Self {
        app.cache.clone()
    }
}

impl FromRef<App> for Db {
    fn from_ref(app: &App) -> Self {
        app.db.clone()
    }
}

/// The routes of the application.
pub(crate) fn routes(app: App) -> Router {
    let companies = Router::new()
        .route("/contacts", get(contacts::list).post(contacts::create))
        .route("/contacts/{id}", get(contacts::one).put(contacts::update).delete(contacts::remove))
        .route("/statistics", get(contacts::totals))
        .route("/dashboard", get(contacts::dashboard));
    assemble(companies, app)
}

/// The same routes for reading as if there were no cache, to compare with.
pub(crate) fn routes_without_cache(app: App) -> Router {
    let companies = Router::new()
        .route("/contacts", get(uncached::list).post(contacts::create))
        .route("/contacts/{id}", get(uncached::one).put(contacts::update).delete(contacts::remove))
        .route("/statistics", get(uncached::totals))
        .route("/dashboard", get(uncached::dashboard));
    assemble(companies, app)
}

fn assemble(companies: Router<App>, app: App) -> Router {
    let companies = companies
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app.keys), auth::company));
    let admin = Router::new()
        .route("/admin/cache-stats/{tenant}", get(admin::cache_stats))
        .route("/admin/node", get(admin::node))
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app.keys), auth::admin));
    Router::new().merge(companies).merge(admin).fallback(answer::no_such_route).with_state(app)
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinSet<std::io::Result<()>>,
}

impl Running {
    /// Listens on the loopback; port 0 takes a free one.
    pub(crate) async fn start(routes: Router, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            // a sender that is gone says "stop" as well
            axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) }).await
        });
        Ok(Self { address, stop, task })
    }

    /// Takes no new connection, waits for the requests under way, ends.
    pub(crate) async fn stop(mut self) -> std::io::Result<()> {
        drop(self.stop);
        match self.task.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => Err(std::io::Error::other(error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
