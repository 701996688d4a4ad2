//! Where commands and replies end.

use bytes::{Bytes, BytesMut};

const REQUEST_KINDS: &[u8] = b"*$";
const REPLY_KINDS: &[u8] = b"+-:$*_#,(!=%~>|";
const LONGEST_LINE: usize = 64 << 10;
const LONGEST_STRING: i64 = 1 << 30;

/// What follows is not the protocol of Redis.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A command: as it came, and its name and arguments.
    Command(Bytes, Vec<Bytes>),
    /// Bytes that have no reply: an empty line, an empty array.
    Bytes(Bytes),
}

/// Finds the end of what begins a buffer, without reading again what it has read.
#[derive(Debug)]
struct Scanner {
    kinds: &'static [u8],
    at: usize,
    missing: u64,
}

impl Scanner {
    fn new(kinds: &'static [u8]) -> Self {
        Self { kinds, at: 0, missing: 1 }
    }

    /// Returns the end of the first value in a buffer, if it is there.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbage> {
        while self.missing > 0 {
            let Some(element) = element(&bytes[self.at..], self.kinds)? else { return Ok(None) };
            if bytes.len() - self.at < element.length {
                return Ok(None);
            }
            self.at += element.length;
            self.missing = (self.missing - 1).checked_add(element.contains).ok_or(Garbage)?;
        }
        let end = self.at;
        *self = Self::new(self.kinds);
        Ok(Some(end))
    }
}

/// The beginning of a value.
struct Element {
    /// Of its line and, for a string, its content.
    length: usize,
    content_at: usize,
    /// How many values follow that belong to it.
    contains: u64,
    nil: bool,
}

fn element(bytes: &[u8], kinds: &[u8]) -> Result<Option<Element>, Garbage> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    if !kinds.contains(kind) {
        return Err(Garbage);
    }
    let Some(line) = line(bytes)? else { return Ok(None) };
    let content_at = line.len();
    let text = line[1..].strip_suffix(b"\r\n").ok_or(Garbage)?;
    let mut element = Element { length: content_at, content_at, contains: 0, nil: false };
    if !b"$!=*~>%|".contains(kind) {
        return Ok(Some(element));
    }
    let number: i64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Garbage)?;
    element.nil = number < 0;
    let count = u64::try_from(number).unwrap_or(0);
    match kind {
        b'$' | b'!' | b'=' if number > LONGEST_STRING => return Err(Garbage),
        b'$' | b'!' | b'=' if !element.nil => {
            element.length += usize::try_from(count).map_err(|_| Garbage)? + 2;
            let end = bytes.get(element.length - 2..element.length);
            if end.is_some_and(|end| end != b"\r\n") {
                return Err(Garbage);
            }
        }
        b'*' | b'~' | b'>' => element.contains = count,
        b'%' => element.contains = count.checked_mul(2).ok_or(Garbage)?,
        // attributes come before a value
        b'|' => element.contains = count.checked_mul(2).and_then(|count| count.checked_add(1)).ok_or(Garbage)?,
        _ => {}
    }
    Ok(Some(element))
}

/// Returns the first line, with its end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Garbage> {
    match bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(&bytes[..=end])),
        None if bytes.len() >= LONGEST_LINE => Err(Garbage),
        None => Ok(None),
    }
}

/// Cuts what a client sends into commands.
#[derive(Debug)]
pub(super) struct Requests(Scanner);

impl Default for Requests {
    fn default() -> Self {
        Self(Scanner::new(REQUEST_KINDS))
    }
}

impl Requests {
    /// Takes the next one out of the buffer, if all of it is there.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, Garbage> {
        match buffer.first() {
            None => Ok(None),
            Some(b'*') => {
                let Some(end) = self.0.end(buffer)? else { return Ok(None) };
                // before it is taken out: as plain bytes, the buffer is passed on whole
                let ranges = arguments(&buffer[..end])?;
                let bytes = buffer.split_to(end).freeze();
                Ok(Some(request(ranges.into_iter().map(|(from, to)| bytes.slice(from..to)).collect(), bytes)))
            }
            Some(byte) if byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() => {
                let Some(end) = line(buffer)?.map(<[u8]>::len) else { return Ok(None) };
                let bytes = buffer.split_to(end).freeze();
                let words = bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                Ok(Some(request(words.map(|word| bytes.slice_ref(word)).collect(), bytes)))
            }
            Some(_) => Err(Garbage),
        }
    }
}

fn request(args: Vec<Bytes>, bytes: Bytes) -> Request {
    if args.is_empty() { Request::Bytes(bytes) } else { Request::Command(bytes, args) }
}

/// Returns where the arguments of a whole command are: strings, and nothing else.
fn arguments(bytes: &[u8]) -> Result<Vec<(usize, usize)>, Garbage> {
    let array = element(bytes, b"*")?.ok_or(Garbage)?;
    let mut at = array.length;
    let mut found = Vec::new();
    for _ in 0..array.contains {
        let string = element(&bytes[at..], b"$")?.filter(|string| !string.nil).ok_or(Garbage)?;
        found.push((at + string.content_at, at + string.length - 2));
        at += string.length;
    }
    Ok(found)
}

/// Cuts what a server sends into replies.
#[derive(Debug)]
pub(super) struct Replies(Scanner);

impl Default for Replies {
    fn default() -> Self {
        Self(Scanner::new(REPLY_KINDS))
    }
}

impl Replies {
    /// Takes the next reply or push out of the buffer, if all of it is there.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Garbage> {
        Ok(self.0.end(buffer)?.map(|end| buffer.split_to(end).freeze()))
    }
}

/// What a server sends of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    /// What somebody published.
    Message,
    /// Everything else, confirmations of subscriptions among it.
    Other,
}

/// Returns what push this is; none for a reply to a command. With a subscription in RESP2, it does not say so itself.
pub(super) fn push(reply: &[u8], subscribed: bool) -> Option<Push> {
    const MESSAGES: [&[u8]; 3] = [b"message", b"pmessage", b"smessage"];
    const CONFIRMATIONS: [&[u8]; 6] =
        [b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"];
    let says_so = match reply.first() {
        Some(b'>') => true,
        Some(b'*') if subscribed => false,
        _ => return None,
    };
    match first_string(reply) {
        Some(name) if MESSAGES.contains(&name) => Some(Push::Message),
        Some(name) if says_so || CONFIRMATIONS.contains(&name) => Some(Push::Other),
        _ => says_so.then_some(Push::Other),
    }
}

/// Returns what an array begins with, if that is a string.
fn first_string(array: &[u8]) -> Option<&[u8]> {
    let begin = element(array, b"*>").ok()??;
    let rest = &array[begin.length..];
    let string = element(rest, b"$").ok()??;
    (!string.nil).then(|| &rest[string.content_at..string.length - 2])
}

#[cfg(test)]
mod tests;
