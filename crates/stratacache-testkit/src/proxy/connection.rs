//! Passes on what goes through one connection, in both directions.

use std::{
    collections::VecDeque,
    future, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    sync::Notify,
    time::Sleep,
};

use super::{
    counts::add,
    link::{Arrived, Link},
    shared::{Registered, Shared},
};

/// How many bytes of replies are read ahead.
const HELD: usize = 16 << 20;
/// How often in a second a throttled stream moves.
const STEPS_PER_S: u64 = 50;

/// Serves a client until either side closes, or the connection is cut.
pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let registered = Registered::new(shared.clone());
    select! {
        biased;
        () = registered.cut() => {}
        // an error is the end of the connection, which the other side sees
        _ = relay(client, &shared) => {}
    }
}

async fn relay(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let upstream = shared.switches.borrow().upstream;
    let server = TcpStream::connect(upstream).await.inspect_err(|_| add(&shared.counts.failed_connects))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let relay = Relay { shared, from_client, link: Mutex::default(), requests_came: Notify::new() };
    let requests = async {
        match relay.requests(to_server).await {
            // the client will send nothing more, but replies may come
            Ok(()) => future::pending().await,
            Err(error) => Err(error),
        }
    };
    select! {
        biased;
        ended = relay.replies(from_server, to_client) => ended,
        ended = requests => ended,
    }
}

struct Relay<'a> {
    shared: &'a Shared,
    from_client: OwnedReadHalf,
    link: Mutex<Link>,
    /// Replies read from the client, too.
    requests_came: Notify,
}

impl Relay<'_> {
    async fn requests(&self, to_server: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let (reads, ended) = {
                let link = self.link();
                (link.has_room_for_requests() && !link.client_ended, link.client_ended && !link.has_requests())
            };
            if ended {
                return Ok(()); // drops its half, which tells the server
            }
            select! {
                biased;
                request = self.next_request() => match request {
                    Some(bytes) => self.send(&to_server, &bytes, false).await?,
                    None => return Err(io::ErrorKind::ConnectionAborted.into()),
                },
                ready = self.from_client.readable(), if reads => {
                    ready?;
                    self.read_client()?;
                }
            }
        }
    }

    /// Waits for a command that may be passed on; `None` says that it is dropped with the connection.
    async fn next_request(&self) -> Option<Bytes> {
        loop {
            self.shared.until_flowing().await;
            let next = self.link().next_request(self.shared);
            match next {
                Some(request) => return request,
                None => self.requests_came.notified().await,
            }
        }
    }

    /// Reads everything that is readable.
    fn read_client(&self) -> io::Result<()> {
        let mut link = self.link();
        let mut came = false;
        while link.has_room_for_requests() && !link.client_ended {
            match self.from_client.try_read_buf(link.client_buffer()) {
                Ok(0) => {
                    link.client_ended = true;
                    came = true;
                }
                Ok(_) => came |= link.take_in_requests(self.shared),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    link.client_is_dry();
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if came {
            self.requests_came.notify_one();
        }
        Ok(())
    }

    async fn replies(&self, from_server: OwnedReadHalf, to_client: OwnedWriteHalf) -> io::Result<()> {
        let mut waiting = Waiting::default();
        loop {
            if waiting.ended && waiting.replies.is_empty() {
                return Ok(());
            }
            let reads = !waiting.ended && waiting.held < HELD;
            select! {
                biased;
                () = waiting.due(self.shared) => {
                    let Some((_, reply)) = waiting.replies.pop_front() else { continue };
                    waiting.held -= reply.bytes.len();
                    self.deliver(reply, &to_client).await?;
                }
                ready = from_server.readable(), if reads => {
                    ready?;
                    self.read_server(&from_server, &mut waiting)?;
                }
            }
        }
    }

    async fn deliver(&self, reply: Arrived, to_client: &OwnedWriteHalf) -> io::Result<()> {
        // what the client sent before it could see this reply belongs to the same round trip
        self.read_client()?;
        if let Some(trip) = reply.trip.filter(|_| !reply.lost) {
            self.link().answer(trip);
        }
        if reply.lost {
            add(&self.shared.counts.dropped_replies);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.send(to_client, &reply.bytes, true).await
    }

    fn read_server(&self, from_server: &OwnedReadHalf, waiting: &mut Waiting) -> io::Result<()> {
        let mut link = self.link();
        while !waiting.ended && waiting.held < HELD {
            match from_server.try_read_buf(link.server_buffer()) {
                Ok(0) => {
                    waiting.ended = true;
                    waiting.extend(link.rest(self.shared));
                }
                Ok(_) => waiting.extend(std::iter::from_fn(|| link.next_arrived(self.shared))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn send(&self, to: &OwnedWriteHalf, mut bytes: &[u8], to_client: bool) -> io::Result<()> {
        while !bytes.is_empty() {
            self.shared.until_flowing().await;
            let (split, rate) = {
                let switches = self.shared.switches.borrow();
                (switches.split && to_client, switches.bytes_per_s)
            };
            let step = rate.map_or(u64::MAX, |rate| rate.div_ceil(STEPS_PER_S));
            let step = if split { 1 } else { usize::try_from(step).unwrap_or(usize::MAX).min(bytes.len()) };
            to.writable().await?;
            match to.try_write(&bytes[..step]) {
                Ok(written) => {
                    bytes = &bytes[written..];
                    if let Some(rate) = rate {
                        tokio::time::sleep(Duration::from_nanos(written as u64 * 1_000_000_000 / rate)).await;
                    }
                    if split {
                        tokio::task::yield_now().await; // to let the client see it
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replies that are not sent yet.
#[derive(Default)]
struct Waiting {
    replies: VecDeque<(Option<Pin<Box<Sleep>>>, Arrived)>,
    held: usize,
    /// The server has closed.
    ended: bool,
}

impl Waiting {
    fn extend(&mut self, arrived: impl IntoIterator<Item = Arrived>) {
        for reply in arrived {
            self.held += reply.bytes.len();
            self.replies.push_back((reply.delay.map(|delay| Box::pin(tokio::time::sleep(delay))), reply));
        }
    }

    /// Waits until the first one may be sent; for ever, if there is none.
    async fn due(&mut self, shared: &Shared) {
        match self.replies.front_mut() {
            None => future::pending().await,
            Some((Some(due), _)) => due.as_mut().await,
            Some((None, _)) => {}
        }
        shared.until_flowing().await;
    }
}
