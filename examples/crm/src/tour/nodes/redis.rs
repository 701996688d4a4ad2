//! A redis-server of the tour's own, which it may kill.

use std::{fmt::Write, io::ErrorKind, net::Ipv4Addr, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

/// Another program may take the free port before Redis does.
const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on the loopback that keeps nothing on disk; ended by its process id when this is dropped.
pub(in crate::tour) struct OwnRedis {
    port: u16,
    password: String,
    server: Child,
    folder: TempDir,
}

impl OwnRedis {
    pub(in crate::tour) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        let password = secret.iter().fold(String::new(), |mut text, byte| {
            // writing to a String cannot fail
            let _ = write!(text, "{byte:02x}");
            text
        });
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
            if let Some(server) = spawn(port, &password, &folder).await? {
                return Ok(Self { port, password, server, folder });
            }
        }
        bail!("redis-server ended at once, {ATTEMPTS} times")
    }

    pub(in crate::tour) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// Lets it lose every entry, as it does when it is short of memory: what has a time to live goes, and the order of
    /// invalidations stays.
    pub(in crate::tour) async fn forget_entries(&self) -> Result<()> {
        const SCRIPT: &str = "local gone = 0 for _, key in ipairs(redis.call('KEYS', '*')) do if redis.call('PTTL', key) > 0 then \
                              redis.call('UNLINK', key) gone = gone + 1 end end return gone";
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let request = format!("AUTH {}\r\nEVAL \"{SCRIPT}\" 0\r\n", self.password);
        stream.write_all(request.as_bytes()).await?;
        let mut replies = BufReader::new(stream).lines();
        let mut reply = async || {
            let line = timeout(PATIENCE, replies.next_line()).await.context("redis-server does not answer")??;
            anyhow::Ok(line)
        };
        ensure!(reply().await?.as_deref() == Some("+OK"), "the own redis-server does not know its password");
        let gone = reply().await?.context("redis-server hung up")?;
        ensure!(gone.starts_with(':'), "redis-server does not forget its entries: {gone}");
        Ok(())
    }

    /// Kills it where it stands. What it held is gone.
    pub(in crate::tour) async fn kill(&mut self) -> Result<()> {
        self.server.kill().await.context("killing redis-server")
    }

    /// Starts it again, empty.
    pub(in crate::tour) async fn start_empty(&mut self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if let Some(server) = spawn(self.port, &self.password, &self.folder).await? {
                self.server = server;
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
        bail!("redis-server does not start again on port {}", self.port)
    }
}

/// Starts a server and waits until it answers; `None` if it ended at once, as it does when the port is taken.
async fn spawn(port: u16, password: &str, folder: &TempDir) -> Result<Option<Child>> {
    let spawned = Command::new("redis-server")
        .arg("-") // the configuration comes by the pipe, since arguments are no place for a password
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut server = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "the tour of many nodes and a restart of everything need redis-server: install it with `apt-get install redis-server`, or name a \
             Redis with --redis URL"
        ),
        spawned => spawned.context("starting redis-server")?,
    };
    let mut pipe = server.stdin.take().context("redis-server without a standard input")?;
    let settings = format!("bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\n");
    pipe.write_all(settings.as_bytes()).await?;
    drop(pipe);
    let ready = async {
        loop {
            if server.try_wait()?.is_some() {
                return anyhow::Ok(false);
            }
            if answers(port, password).await {
                return Ok(true);
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let ready = timeout(PATIENCE, ready).await.context("redis-server does not answer")??;
    Ok(ready.then_some(server))
}

/// Tells whether it is our server that answers on the port: no other one knows the password.
async fn answers(port: u16, password: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(format!("AUTH {password}\r\n").as_bytes()).await?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await?;
        std::io::Result::Ok(&reply == b"+OK\r\n")
    };
    matches!(timeout(Duration::from_secs(1), asked).await, Ok(Ok(true)))
}
