//! One command and its reply, in the protocol of Redis (RESP2).

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// A reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// A status like `OK`.
    Status(String),
    /// An error; only inside of arrays, as a whole it is a [`ServerError::Refused`](super::ServerError::Refused).
    Error(String),
    /// A number.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Several replies.
    Array(Vec<Self>),
    /// Nothing.
    Nil,
}

impl Reply {
    /// Returns a status, an error, a number or a string of bytes as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(text) | Self::Error(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Array(_) | Self::Nil => None,
        }
    }

    /// Returns a string of bytes as it is.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bulk(bytes) = self { Some(bytes) } else { None }
    }

    /// Returns a number, also one that came as text.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        self.text()?.parse().ok()
    }

    /// Returns the elements of an array; of everything else none.
    #[must_use]
    pub fn elements(&self) -> &[Self] {
        if let Self::Array(elements) = self { elements } else { &[] }
    }
}

/// A connection for administration.
#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(port: u16, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            let arg = arg.as_ref();
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&request)?;
        read(&mut self.0)
    }
}

fn read(from: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    let Some((kind, rest)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
        return Err(if line.is_empty() { io::ErrorKind::UnexpectedEof.into() } else { malformed(&line) });
    };
    let text = String::from_utf8_lossy(rest);
    let number = || text.parse::<i64>().map_err(|_| malformed(&line));
    match kind {
        b'+' => Ok(Reply::Status(text.into_owned())),
        b'-' => Ok(Reply::Error(text.into_owned())),
        b':' => Ok(Reply::Integer(number()?)),
        b'$' => {
            let Ok(length) = u64::try_from(number()?) else { return Ok(Reply::Nil) };
            let mut bytes = Vec::new();
            from.take(length + 2).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != length + 2 || !bytes.ends_with(b"\r\n") {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.truncate(bytes.len() - 2);
            Ok(Reply::Bulk(bytes))
        }
        b'*' if number()? < 0 => Ok(Reply::Nil),
        b'*' => Ok(Reply::Array((0..number()?).map(|_| read(from)).collect::<io::Result<_>>()?)),
        _ => Err(malformed(&line)),
    }
}

fn malformed(line: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no reply: {:?}", String::from_utf8_lossy(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_understood() {
        let bytes = b"*7\r\n+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n*1\r\n$0\r\n\r\n";
        let Reply::Array(replies) = read(&mut bytes.as_slice()).unwrap() else { panic!("no array") };
        let nested = Reply::Array(vec![Reply::Bulk(Vec::new())]);
        assert_eq!(
            replies,
            [
                Reply::Status("OK".into()),
                Reply::Error("ERR no".into()),
                Reply::Integer(-7),
                Reply::Bulk(b"a\r\nb".to_vec()),
                Reply::Nil,
                Reply::Nil,
                nested
            ]
        );
    }

    #[test]
    fn what_is_cut_off_or_no_reply_at_all_is_an_error() {
        for bytes in ["", "+OK", "$5\r\nabc\r\n", "*2\r\n:1\r\n", ":x\r\n", "hello\r\n", "\r\n"] {
            assert!(read(&mut bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
