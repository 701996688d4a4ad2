//! Requests and answers of HTTP/1.1 as bytes: as much of them as a proxy has to understand.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest head.
const HEAD: usize = 64 << 10;

/// A head, up to and with its empty line, and a body.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

pub(super) type Response = Message;

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Message {
    /// Reads a request; `None` at the end of the connection.
    pub(super) async fn request(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let Some((head, mut body)) = head(from).await? else { return Ok(None) };
        let mut message = Self { head, body: Vec::new() };
        let length = match message.header("content-length") {
            Some(length) => length.parse().map_err(|_| odd("a content-length that is no number"))?,
            None if message.header("transfer-encoding").is_some() => return Err(odd("a request in chunks")),
            None => 0,
        };
        let begun = body.len().min(length);
        body.resize(length, 0);
        from.read_exact(&mut body[begun..]).await?;
        message.body = body;
        Ok(Some(message))
    }

    /// Reads an answer that ends with its connection.
    pub(super) async fn response(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let (head, mut body) = head(from).await?.ok_or_else(|| odd("no answer"))?;
        from.read_to_end(&mut body).await?;
        Ok(Self { head, body })
    }

    /// Makes an answer.
    pub(super) fn answer(status: u16, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Test\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self { head, body: body.into() }
    }

    /// Returns the method and the path of a request, with its query.
    pub(super) fn asks(&self) -> (&str, &str) {
        let mut words = self.head.split([' ', '\r']);
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.head.split(' ').nth(1)?.parse().ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Sets a header, in the place of others of its name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.head.truncate(self.head.len() - "\r\n".len());
        self.head += &format!("{name}: {value}\r\n\r\n");
    }

    /// Removes all headers of a name.
    pub(super) fn remove(&mut self, name: &str) {
        let other = |line: &&str| !line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        let lines: Vec<&str> = self.head.lines().filter(|line| !line.is_empty()).filter(other).collect();
        self.head = lines.join("\r\n") + "\r\n\r\n";
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// Reads up to the end of a head; what came after it belongs to the body.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(at + 4);
            let head = String::from_utf8(bytes).map_err(|_| odd("a head that is no text"))?;
            return Ok(Some((head, body)));
        }
        if bytes.len() > HEAD {
            return Err(odd("a head that does not end"));
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(odd("a head that was cut off")) };
        }
    }
}
