//! The meta commands of Memcached's text protocol: what is sent, and what comes back.
//!
//! Every request has exactly one reply, in order; each that can carries its number, which no other request of the tier has, so that
//! a reply is never taken for another's.

use std::io::Write as _;

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest first line of a reply that is believed.
const LONGEST_LINE: usize = 2048;
/// Seconds from which on Memcached takes a life for a date.
const LONGEST_LIFE: u64 = 30 * 24 * 60 * 60;

/// What is sent: a line, and data where it stores something.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) line: Vec<u8>,
    pub(crate) data: Option<Bytes>,
}

impl Request {
    /// Asks for what is stored.
    pub(crate) fn get(number: u64, key: &str) -> Self {
        Self::line(number, format_args!("mg {key} v O{number}\r\n"))
    }

    /// Stores for so many milliseconds, whatever is there.
    pub(crate) fn set(number: u64, key: &str, data: Bytes, millis: u64) -> Self {
        let (length, life) = (data.len(), life(millis));
        Self { data: Some(data), ..Self::line(number, format_args!("ms {key} {length} T{life} O{number}\r\n")) }
    }

    /// Removes what is stored.
    pub(crate) fn delete(number: u64, key: &str) -> Self {
        Self::line(number, format_args!("md {key} O{number}\r\n"))
    }

    /// Does nothing, and is answered.
    pub(crate) fn no_op() -> Self {
        Self::line(0, format_args!("mn\r\n"))
    }

    /// Asks for the largest item, among other things; the only request that has many replies.
    pub(crate) fn settings() -> Self {
        Self::line(0, format_args!("stats settings\r\n"))
    }

    fn line(number: u64, line: std::fmt::Arguments<'_>) -> Self {
        let mut bytes = Vec::with_capacity(80);
        // writing to memory cannot fail
        let _ = bytes.write_fmt(line);
        Self { number, line: bytes, data: None }
    }
}

/// Returns a life as Memcached takes it: in seconds, rounded up, since 0 is for ever; -1 is over at once.
fn life(millis: u64) -> i64 {
    match millis.div_ceil(1000).min(LONGEST_LIFE) {
        0 => -1,
        seconds => seconds as i64,
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Value(Bytes),
    /// Stored or removed.
    Done,
    /// Nothing is there.
    Absent,
    TooLarge,
    /// No memory for it, and nothing that could be evicted.
    NoRoom,
    /// The answer to a request that does nothing.
    Nothing,
    /// A setting of the server: its name and value.
    Setting(String, String),
    /// There are no more settings.
    End,
}

/// The bytes are no reply, or not to this request: nothing more is taken from this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonsense(pub(crate) &'static str);

/// Takes the reply to a request out of what has come; `None` if it is not all there. Values are at most so large.
pub(crate) fn take(come: &mut BytesMut, number: u64, largest: u64) -> Result<Option<Reply>, Nonsense> {
    let Some(end) = come.windows(2).take(LONGEST_LINE).position(|two| two == b"\r\n") else {
        let nonsense = Nonsense("a line without end");
        return if come.len() > LONGEST_LINE { Err(nonsense) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&come[..end]).map_err(|_| Nonsense("a reply that is not text"))?;
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let reply = match word {
        "VA" => {
            let size = rest.split(' ').next().and_then(|size| size.parse().ok());
            let size: u64 = size.ok_or(Nonsense("a value without its length"))?;
            if size > largest {
                return Err(Nonsense("a value larger than any of ours"));
            }
            is_for(number, rest)?;
            let (from, size) = (end + 2, size as usize);
            if come.len() < from + size + 2 {
                return Ok(None);
            }
            if &come[from + size..from + size + 2] != b"\r\n" {
                return Err(Nonsense("a value of another length than was said"));
            }
            come.advance(from);
            let value = come.split_to(size).freeze();
            come.advance(2);
            return Ok(Some(Reply::Value(value)));
        }
        "HD" => is_for(number, rest).map(|()| Reply::Done)?,
        // of an absent item some versions say no more
        "EN" | "NF" if rest.is_empty() => Reply::Absent,
        "EN" | "NF" => is_for(number, rest).map(|()| Reply::Absent)?,
        "MN" => Reply::Nothing,
        "STAT" => {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            Reply::Setting(name.to_owned(), value.to_owned())
        }
        "END" => Reply::End,
        // the server has read the data all the same, and is ready for what follows
        "SERVER_ERROR" if rest.contains("too large") => Reply::TooLarge,
        "SERVER_ERROR" if rest.contains("out of memory") => Reply::NoRoom,
        "SERVER_ERROR" => return Err(Nonsense("an error of the server")),
        "CLIENT_ERROR" | "ERROR" => {
            return Err(Nonsense("the server does not understand us, or has too many connections"));
        }
        _ => return Err(Nonsense("a reply of no kind we know")),
    };
    come.advance(end + 2);
    Ok(Some(reply))
}

/// Checks that a reply is the one to a request.
fn is_for(number: u64, flags: &str) -> Result<(), Nonsense> {
    let said = flags.split(' ').find_map(|flag| flag.strip_prefix('O'));
    let same = said.is_some_and(|said| said.parse() == Ok(number));
    if same { Ok(()) } else { Err(Nonsense("the reply to another request")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Result<Option<Reply>, Nonsense>, usize) {
        let mut come = BytesMut::from(bytes);
        let reply = take(&mut come, 7, 100);
        (reply, bytes.len() - come.len())
    }

    #[test]
    fn a_life_is_rounded_up_never_for_ever_and_never_a_date() {
        assert_eq!([life(0), life(1), life(1000), life(1001)], [-1, 1, 1, 2]);
        let month = 30 * 24 * 3600;
        assert_eq!([life(month * 1000), life(month * 1000 + 1), life(u64::MAX)], [month as i64; 3]);
    }

    #[test]
    fn every_reply_is_taken_whole_and_nothing_after_it() {
        let cases: [(&[u8], Reply); 8] = [
            (b"VA 3 O7\r\nabc\r\n", Reply::Value(Bytes::from_static(b"abc"))),
            (b"VA 2 O7\r\n\r\n\r\n", Reply::Value(Bytes::from_static(b"\r\n"))),
            (b"HD O7\r\n", Reply::Done),
            (b"EN\r\n", Reply::Absent),
            (b"NF O7\r\n", Reply::Absent),
            (b"MN\r\n", Reply::Nothing),
            (b"SERVER_ERROR object too large for cache\r\n", Reply::TooLarge),
            (b"STAT item_size_max 1048576\r\n", Reply::Setting("item_size_max".into(), "1048576".into())),
        ];
        for (bytes, reply) in cases {
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), (Ok(None), 0), "{reply:?} cut to {end}");
            }
            assert_eq!(read(&[bytes, b"HD O8\r\n"].concat()), (Ok(Some(reply)), bytes.len()));
        }
    }

    #[test]
    fn what_is_no_reply_to_this_request_is_nonsense() {
        let cases: [&[u8]; 10] = [
            b"HD O8\r\n",
            b"HD\r\n",
            b"EN O6\r\n",
            b"VA 3 O8\r\nabc\r\n",
            b"VA 101 O7\r\n",
            b"VA 99999999999999999999 O7\r\n",
            b"VA -1 O7\r\n",
            b"VA 2 O7\r\nabc\r\n",
            b"ERROR\r\n",
            b"\xff\xff\r\n",
        ];
        for bytes in cases {
            assert!(read(bytes).0.is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(read(&[b'x'; LONGEST_LINE + 1]).0.is_err());
    }
}
