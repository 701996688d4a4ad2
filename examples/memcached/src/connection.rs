//! One connection: requests go out together, and their replies come back in order.

use std::{io, ops::ControlFlow};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter},
    net::TcpStream,
};

use crate::protocol::{self, Nonsense, Reply, Request};

/// So much room is made at once for what comes: a length that lies costs no more.
const ROOM: usize = 64 * 1024;

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The system said so.
    Io(io::Error),
    /// The server closed it.
    Ended,
    /// What came was no reply.
    Nonsense(&'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Nonsense> for Broken {
    fn from(Nonsense(what): Nonsense) -> Self {
        Self::Nonsense(what)
    }
}

/// A connection on which nothing is under way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    come: BytesMut,
    largest: u64,
}

impl Connection {
    /// Connects; values that come back are at most so large.
    pub(crate) async fn open(address: &str, largest: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, come: BytesMut::new(), largest })
    }

    /// Sends requests, and adds the reply of each to `replies` as it comes: after a failure these are the first ones.
    ///
    /// The connection is taken, and given back when every reply is there: whoever drops this future drops the connection with
    /// whatever is on its way, and no later request meets a reply that is not its own.
    pub(crate) async fn exchange(mut self, requests: &[Request], replies: &mut Vec<Reply>) -> Result<Self, Broken> {
        self.send_and_read(requests, |reply| {
            replies.push(reply);
            if replies.len() == requests.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        // nothing was asked any more
        if self.come.is_empty() { Ok(self) } else { Err(Broken::Nonsense("more replies than requests")) }
    }

    /// Asks the server for its settings, and closes the connection.
    pub(crate) async fn settings(mut self) -> Result<Vec<(String, String)>, Broken> {
        let mut settings = Vec::new();
        self.send_and_read(&[Request::settings()], |reply| match reply {
            Reply::Setting(name, value) => {
                settings.push((name, value));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        })
        .await?;
        Ok(settings)
    }

    /// Sends and reads at the same time: a server that cannot get rid of its replies reads no more requests.
    async fn send_and_read(
        &mut self,
        requests: &[Request],
        mut each: impl FnMut(Reply) -> ControlFlow<()>,
    ) -> Result<(), Broken> {
        if requests.is_empty() {
            return Ok(());
        }
        let Self { stream, come, largest } = self;
        let (mut read, write) = stream.split();
        let mut write = BufWriter::new(write);
        let sending = async {
            for Request { line, data, .. } in requests {
                write.write_all(line).await?;
                if let Some(data) = data {
                    write.write_all(data).await?;
                    write.write_all(b"\r\n").await?;
                }
            }
            write.flush().await.map_err(Broken::Io)
        };
        let reading = async {
            // all settings are the reply to one request
            let mut numbers = requests.iter().map(|request| request.number).chain(std::iter::repeat(0));
            let mut number = numbers.next().unwrap_or_default();
            loop {
                while let Some(reply) = protocol::take(come, number, *largest)? {
                    number = numbers.next().unwrap_or_default();
                    if each(reply).is_break() {
                        return Ok(());
                    }
                }
                come.reserve(ROOM);
                if read.read_buf(come).await? == 0 {
                    return Err(Broken::Ended);
                }
            }
        };
        tokio::try_join!(sending, reading).map(drop)
    }
}
