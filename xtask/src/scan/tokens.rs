//! Words and punctuation of masked text.

/// A word or a punctuation mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// As written; `::` is one token, every other mark a token of its own.
    pub(crate) text: &'a str,
    /// Offset of its first byte.
    pub(crate) at: usize,
    /// Line, from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Tells a word from punctuation and numbers.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Cuts masked text into tokens.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = code[at..].chars().next() {
        let rest = &code[at..];
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let len = match first {
            '\n' => {
                (at, line) = (at + 1, line + 1);
                continue;
            }
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            'r' if rest[1..].starts_with('#') && rest[2..].starts_with(word) => {
                at += 2; // `r#name` is the word `name`
                continue;
            }
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        found.push(Token { text: &rest[..len], at, line });
        at += len;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_and_double_colons() {
        let found: Vec<_> = tokens("use a::b_c;\n  d: r#type<'e>").into_iter().map(|t| (t.text, t.line)).collect();
        assert_eq!(
            found,
            [
                ("use", 1),
                ("a", 1),
                ("::", 1),
                ("b_c", 1),
                (";", 1),
                ("d", 2),
                (":", 2),
                ("type", 2),
                ("<", 2),
                ("'", 2),
                ("e", 2),
                (">", 2)
            ]
        );
    }
}
