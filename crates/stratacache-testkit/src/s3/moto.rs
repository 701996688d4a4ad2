//! moto, a stand-in for Amazon's services written in Python, as a process of its own.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    servers::{ServerError, free_port, until},
    spawn,
};

const PROGRAM: &str = "moto_server";
const INSTALL: &str = "run ./test once, which installs it, and put the folder that it names into PATH; or \
                       `pip install 'moto[server,s3]'`";
const START: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(10);

/// `moto_server` on a free port of 127.0.0.1; it is killed, by its own process id, when it is dropped.
///
/// It takes any access key, and refuses to create what is there, atomically.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    addr: SocketAddr,
}

impl Moto {
    /// Starts it with some buckets, which are empty. The program is looked for in `PATH`.
    ///
    /// # Errors
    /// [`NotInstalled`](ServerError::NotInstalled), with what to do; [`Timeout`](ServerError::Timeout) when it does not
    /// answer; [`Refused`](ServerError::Refused) when it makes no bucket.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it leaves nothing behind once it has started.
    pub async fn start(buckets: &[&str]) -> Result<Self, ServerError> {
        let buckets: Vec<String> = buckets.iter().map(|bucket| (*bucket).to_owned()).collect();
        spawn::blocking(move || Self::start_here(&buckets)).await
    }

    fn start_here(buckets: &[String]) -> Result<Self, ServerError> {
        let none = || ServerError::Io { doing: "looking for a free port".into(), source: io::Error::other("none") };
        let port = free_port().ok_or_else(none)?;
        let mut command = Command::new(PROGRAM);
        command.args(["-H", "127.0.0.1", "-p"]).arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ServerError::NotInstalled { program: PROGRAM, install: INSTALL },
            _ => ServerError::Io { doing: format!("starting {PROGRAM}"), source: error },
        })?;
        let mut moto = Self { child, addr: (Ipv4Addr::LOCALHOST, port).into() };
        until("moto to answer", START, || {
            if moto.child.try_wait().map_err(ServerError::io("asking for moto"))?.is_some() {
                let log = "it is not kept; run moto_server by hand".to_owned();
                return Err(ServerError::NotStarted { program: PROGRAM, log });
            }
            Ok(moto.status("GET", "/moto-api/").map(drop).map_err(|error| error.to_string()))
        })?;
        for bucket in buckets {
            let asking = format!("PUT /{bucket}");
            let status = moto.status("PUT", &format!("/{bucket}")).map_err(ServerError::io(asking.clone()))?;
            if status != 200 {
                return Err(ServerError::Refused { command: asking, message: format!("status {status}") });
            }
        }
        Ok(moto)
    }

    fn status(&self, method: &str, path: &str) -> io::Result<u16> {
        let mut stream = TcpStream::connect(self.addr)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // moto tells by the host which of its services is meant
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            self.addr
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other("no status"))
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
}

impl Drop for Moto {
    fn drop(&mut self) {
        // a failure means that it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
