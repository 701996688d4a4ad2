//! A client that knows just enough.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Bulk(Vec<u8>),
    Nil,
    Many(char, Vec<Value>),
}

impl Value {
    pub(crate) fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(bytes.as_ref().to_vec())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    /// How often something was read.
    pub(crate) reads: usize,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), reads: 0 })
    }

    /// Sends commands, words divided by blanks, in one write.
    pub(crate) async fn send(&mut self, commands: &[&str]) -> io::Result<()> {
        let words = |command: &&str| encode(&command.split(' ').collect::<Vec<_>>());
        let bytes: Vec<u8> = commands.iter().flat_map(words).collect();
        self.stream.write_all(&bytes).await
    }

    pub(crate) async fn reply(&mut self) -> io::Result<Value> {
        loop {
            if let Some((value, length)) = parse(&self.buffer) {
                self.buffer.drain(..length);
                return Ok(value);
            }
            self.reads += 1;
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn call(&mut self, command: &str) -> io::Result<Value> {
        self.send(&[command]).await?;
        self.reply().await
    }
}

pub(crate) fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn parse(bytes: &[u8]) -> Option<(Value, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, text) = (char::from(bytes[0]), String::from_utf8_lossy(&bytes[1..end]).into_owned());
    let mut at = end + 2;
    let number = || text.parse::<i64>().expect("a number");
    match kind {
        '_' => Some((Value::Nil, at)),
        '$' | '*' if number() < 0 => Some((Value::Nil, at)),
        '$' => {
            let length = number() as usize;
            let content = bytes.get(at..at + length + 2)?;
            Some((Value::bulk(&content[..length]), at + length + 2))
        }
        '*' | '>' | '~' | '%' => {
            let count = if kind == '%' { 2 * number() } else { number() };
            let mut values = Vec::new();
            for _ in 0..count {
                let (value, length) = parse(&bytes[at..])?;
                values.push(value);
                at += length;
            }
            Some((Value::Many(kind, values), at))
        }
        _ => Some((Value::Text(text), at)),
    }
}
