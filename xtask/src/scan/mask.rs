//! Blanks out comments and literals, byte for byte, so that offsets and lines stay what they were.

/// The two views of a file.
pub(crate) struct Masked {
    /// Neither comments nor the contents of literals.
    pub(crate) code: String,
    /// No comments, but literals as written.
    pub(crate) with_literals: String,
}

enum Kind {
    Code,
    Comment,
    Literal,
}

impl Masked {
    /// Reads Rust text.
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut code = bytes.to_vec();
        let mut with_literals = bytes.to_vec();
        let mut at = 0;
        while at < bytes.len() {
            let (kind, end) = piece(bytes, at);
            let end = end.clamp(at + 1, bytes.len());
            if !matches!(kind, Kind::Code) {
                blank(&mut code[at..end]);
            }
            if matches!(kind, Kind::Comment) {
                blank(&mut with_literals[at..end]);
            }
            at = end;
        }
        // a piece begins and ends at ASCII bytes, so what is left is still UTF-8
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: text(code), with_literals: text(with_literals) }
    }
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Returns what begins at `at`, and where it ends.
fn piece(bytes: &[u8], at: usize) -> (Kind, usize) {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, at + position(rest, b'\n')),
        [b'/', b'*', ..] => (Kind::Comment, at + block_comment(rest)),
        [b'"', ..] => (Kind::Literal, at + quoted(rest)),
        [b'\'', ..] => match character(rest) {
            Some(len) => (Kind::Literal, at + len),
            None => (Kind::Code, at + 1), // a lifetime or a label
        },
        [first, ..] if is_word(*first) => {
            let word = rest.iter().take_while(|byte| is_word(**byte)).count();
            match (&rest[..word], &rest[word..]) {
                (b"r" | b"br" | b"cr", [b'"' | b'#', ..]) => match raw(&rest[word..]) {
                    Some(len) => (Kind::Literal, at + word + len),
                    None => (Kind::Code, at + word), // a raw identifier
                },
                (b"b" | b"c", [b'"', ..]) => (Kind::Literal, at + word + quoted(&rest[word..])),
                (b"b", [b'\'', ..]) => (Kind::Literal, at + word + character(&rest[word..]).unwrap_or(1)),
                _ => (Kind::Code, at + word),
            }
        }
        _ => (Kind::Code, at + 1),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn position(bytes: &[u8], wanted: u8) -> usize {
    bytes.iter().position(|byte| *byte == wanted).unwrap_or(bytes.len())
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the length of a raw literal that begins with its hashes or quote.
fn raw(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes.iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(hashes) != Some(&b'"') {
        return None;
    }
    let closes = |at: usize| bytes[at] == b'"' && bytes[at + 1..].iter().take_while(|b| **b == b'#').count() >= hashes;
    let end = (hashes + 1..bytes.len()).find(|at| closes(*at)).unwrap_or(bytes.len());
    Some(end + 1 + hashes)
}

/// Returns the length of a character literal, or `None` for a lifetime.
fn character(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, b'\\', _, rest @ ..] => Some(3 + position(rest, b'\'') + 1),
        [_, first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            (bytes.get(1 + width) == Some(&b'\'')).then_some(width + 2)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let masked = Masked::new(text);
        assert_eq!(masked.code.len(), text.len(), "{text}");
        masked.code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_blank() {
        assert_eq!(code("a // b\nc"), "a c");
        assert_eq!(code("a /* b /* c */ d */ e"), "a e");
        assert_eq!(code("/// use crate::x;\n//! y\nz"), "z");
    }

    #[test]
    fn literals_are_blank_and_what_follows_them_is_not() {
        assert_eq!(code(r#"a("b \" // c") d"#), "a( ) d");
        assert_eq!(code("a(r#\"b \" c\"#) d"), "a( ) d");
        assert_eq!(
            code("a(b\"x\", c\"y\", br\"z\", '\"', '\\'', b'\\n', '\\u{1F980}', '🦀') d"),
            "a( , , , , , , , ) d"
        );
        assert_eq!(code(r#"a("\\") "b" c"#), "a( ) c");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_eq!(code("fn a<'b>(r#type: &'b str) { 'l: loop {} }"), "fn a<'b>(r#type: &'b str) { 'l: loop {} }");
    }

    #[test]
    fn the_second_view_keeps_literals() {
        assert_eq!(Masked::new("a(\"b\") // c").with_literals.trim_end(), "a(\"b\")");
    }

    #[test]
    fn text_that_ends_inside_a_literal_is_read_to_its_end() {
        for text in ["\"a", "r#\"a", "/* a", "'", "b'", "'\\", "a\\", "\"\\"] {
            assert_eq!(Masked::new(text).code.len(), text.len(), "{text}");
        }
    }
}
