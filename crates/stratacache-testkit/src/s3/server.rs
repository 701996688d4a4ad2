//! An S3-compatible server in this process, on a folder of its own.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::spawn::Tasks;

/// `s3s-fs` on a free port of 127.0.0.1; it ends when it is dropped, and its objects with it.
///
/// It refuses to create what is there, but not atomically: of several who create at once, several may win.
pub struct S3Server {
    addr: SocketAddr,
    folder: TempDir,
    _tasks: Tasks,
}

impl S3Server {
    /// The id of the only access key.
    pub const ACCESS_KEY: &'static str = "test-access-key";
    /// The secret of the only access key.
    pub const SECRET_KEY: &'static str = "test-secret-key";

    /// Starts it with some buckets, which are empty.
    ///
    /// # Errors
    /// When no port or no folder can be had.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it leaves nothing behind.
    pub async fn start(buckets: &[&str]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("strata-s3-").tempdir()?;
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket))?;
        }
        let files = FileSystem::new(folder.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let mut tasks = Tasks::default();
        tasks.start(accept(listener, builder.build()));
        Ok(Self { addr, folder, _tasks: tasks })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the endpoint for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the file of an object, whether or not it is there.
    #[must_use]
    pub fn file(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.path().join(bucket).join(key)
    }

    /// Lists the keys of a bucket, in their order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keys(&self, bucket: &str) -> io::Result<Vec<String>> {
        let root = self.folder.path().join(bucket);
        let (mut open, mut keys) = (vec![root.clone()], Vec::new());
        while let Some(folder) = open.pop() {
            for each in std::fs::read_dir(folder)? {
                let each = each?;
                if each.file_type()?.is_dir() {
                    open.push(each.path());
                } else if let Ok(key) = each.path().strip_prefix(&root) {
                    keys.push(key.to_string_lossy().into_owned());
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

impl fmt::Debug for S3Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Server").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = Tasks::default(); // they end with this
    while let Ok((client, _)) = listener.accept().await {
        connections.start(serve(client, service.clone()));
    }
}

async fn serve(client: TcpStream, service: S3Service) {
    // a client that goes away is no concern of ours
    let _ = http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}
