//! Making a connection.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    time::Duration,
};

use stratacache_core::Result;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};

use crate::{
    failure::{late, understood},
    spawn::{self, Task},
    tls::Tls,
};

pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: Option<Tls>,
    pub(crate) deadline: Duration,
}

/// A connection. It ends when this is dropped.
pub(crate) struct Connected {
    pub(crate) client: Client,
    _task: Task,
}

impl Connector {
    /// Connects; `heard` is told of every notification, and when the connection ends.
    pub(crate) async fn connect(&self, heard: Arc<Notify>) -> Result<Connected> {
        match &self.tls {
            None => {
                let (client, connection) = self.in_time("connecting", self.config.connect(NoTls)).await?;
                Ok(Connected { client, _task: spawn::start(drive(connection, heard)) })
            }
            Some(tls) => {
                let (client, connection) = self.in_time("connecting", self.config.connect(tls.clone())).await?;
                Ok(Connected { client, _task: spawn::start(drive(connection, heard)) })
            }
        }
    }

    /// Waits for an answer of the server, within the deadline.
    pub(crate) async fn in_time<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match timeout(self.deadline, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(understood(doing, &error)),
            Err(_) => Err(late(doing)),
        }
    }
}

async fn drive<S, T>(mut connection: Connection<S, T>, heard: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notification(_)) => heard.notify_one(),
            Ok(_) => {}
            Err(_) => break, // whoever asks next is told
        }
    }
    heard.notify_one();
}
