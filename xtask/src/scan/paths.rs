//! Paths that a file mentions, with `use` trees spread out.

use std::collections::BTreeMap;

use super::{Token, tokens};

/// A path of two or more segments, or one branch of a `use` tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Segments, without a leading `::`.
    pub(crate) path: Vec<String>,
    /// Inline modules it stands in, outermost first.
    pub(crate) inside: Vec<String>,
    /// What kind of mention it is.
    pub(crate) kind: MentionKind,
}

/// How a path is mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MentionKind {
    /// In an expression, type or attribute.
    Plain,
    /// In a `use`; `public` with any `pub`, `name` is what it is called here, `None` for a glob.
    Use { public: bool, name: Option<String> },
}

/// What the `use` items of a file call things.
#[derive(Debug, Default)]
pub(crate) struct Imports(BTreeMap<String, Vec<String>>);

impl Imports {
    /// Collects the names that `use` items bring in.
    pub(crate) fn of(mentions: &[Mention]) -> Self {
        let named = mentions.iter().filter_map(|mention| match &mention.kind {
            MentionKind::Use { name: Some(name), .. } => Some((name.clone(), mention.path.clone())),
            _ => None,
        });
        Self(named.collect())
    }

    /// Replaces an imported first segment by what it stands for.
    pub(crate) fn resolve(&self, path: &[String]) -> Vec<String> {
        let mut path = path.to_vec();
        for _ in 0..4 {
            match path.first().and_then(|first| self.0.get(first)) {
                Some(full) if full.first() != path.first() => {
                    path.splice(..1, full.iter().cloned());
                }
                Some(full) => {
                    path.splice(..1, full.iter().cloned());
                    break;
                }
                None => break,
            }
        }
        path
    }
}

/// Finds every path of masked text.
pub(crate) fn mentions(code: &str) -> Vec<Mention> {
    let mut reader = Reader { all: tokens(code), found: Vec::new(), inside: Vec::new(), depth: 0 };
    let mut at = 0;
    while at < reader.all.len() {
        at = reader.step(at);
    }
    reader.found
}

struct Reader<'a> {
    all: Vec<Token<'a>>,
    found: Vec<Mention>,
    inside: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.all.get(at).map_or("", |token| token.text)
    }

    fn back(&self, at: usize, by: usize) -> &str {
        at.checked_sub(by).map_or("", |at| self.text(at))
    }

    fn step(&mut self, at: usize) -> usize {
        match self.text(at) {
            "{" => self.depth += 1,
            "}" => {
                self.inside.retain(|(_, depth)| *depth < self.depth);
                self.depth = self.depth.saturating_sub(1);
            }
            "mod" if self.text(at + 2) == "{" => {
                self.inside.push((self.text(at + 1).to_owned(), self.depth + 1));
                return at + 2;
            }
            // not the `use<..>` of a captured lifetime
            "use" if self.text(at + 1) != "<" => {
                let public = self.is_public(at);
                let first = at + 1 + usize::from(self.text(at + 1) == "::");
                return self.tree(first, &[], public) + 1;
            }
            _ if self.begins_path(at) => return self.plain(at),
            _ => {}
        }
        at + 1
    }

    fn is_public(&self, at: usize) -> bool {
        self.back(at, 1) == "pub"
            || self.back(at, 1) == ")" && (1..=6).any(|by| self.back(at, by) == "(" && self.back(at, by + 1) == "pub")
    }

    fn begins_path(&self, at: usize) -> bool {
        let continues = self.back(at, 1) == "::"
            && at.checked_sub(2).is_some_and(|before| self.all[before].is_word() || self.text(before) == ">");
        let member = self.back(at, 1) == "." && self.back(at, 2) != ".";
        self.all[at].is_word() && !continues && !member && self.text(at + 1) == "::"
    }

    fn plain(&mut self, at: usize) -> usize {
        let mut path = vec![self.text(at).to_owned()];
        let mut end = at + 1;
        while self.text(end) == "::" && self.all.get(end + 1).is_some_and(Token::is_word) {
            path.push(self.text(end + 1).to_owned());
            end += 2;
        }
        if path.len() > 1 {
            self.push(at, path, MentionKind::Plain);
        }
        end
    }

    /// Reads a branch of a `use` tree that begins at `at` and returns where it ends: at a comma, brace or semicolon.
    fn tree(&mut self, mut at: usize, prefix: &[String], public: bool) -> usize {
        let start = at.min(self.all.len().saturating_sub(1));
        let mut path = prefix.to_vec();
        let mut name = None;
        loop {
            match self.text(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = self.tree(at, &path, public);
                        at += usize::from(self.text(at) == ",");
                    }
                    return at + 1;
                }
                "*" => {
                    self.push(start, path, MentionKind::Use { public, name: None });
                    return at + 1;
                }
                "as" => {
                    name = Some(self.text(at + 1).to_owned());
                    at += 2;
                }
                "self" if !path.is_empty() => at += 1,
                "" | "," | "}" | ";" => break,
                segment => {
                    path.push(segment.to_owned());
                    at += 1;
                }
            }
        }
        let name = name.or_else(|| path.last().cloned());
        self.push(start, path, MentionKind::Use { public, name });
        at
    }

    fn push(&mut self, at: usize, path: Vec<String>, kind: MentionKind) {
        let inside = self.inside.iter().map(|(name, _)| name.clone()).collect();
        let line = self.all[at].line;
        self.found.push(Mention { line, path, inside, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        mentions(code).iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn use_trees_are_spread_out() {
        assert_eq!(paths("use a::{b, c::{self, d as e}, f::*}; g();"), ["a::b", "a::c", "a::c::d", "a::f"],);
        assert_eq!(paths("pub(in crate::x) use ::a;"), ["crate::x", "a"]);
        assert_eq!(paths("fn f<'a>() -> impl A + use<'a> { b::c() }"), ["b::c"]);
    }

    #[test]
    fn paths_in_code_are_whole_and_methods_are_not_paths() {
        assert_eq!(
            paths("a::b::<c::d>::e(f.g::<h>()); ..i::j; <k::l as m::n>::o"),
            ["a::b", "c::d", "i::j", "k::l", "m::n"]
        );
        assert_eq!(paths("$crate::a::b!(::c::d)"), ["crate::a::b", "c::d"]);
    }

    #[test]
    fn visibility_and_names_are_seen() {
        let uses = |code: &str| mentions(code).pop().map(|mention| mention.kind);
        let named = |public, name: &str| Some(MentionKind::Use { public, name: Some(name.to_owned()) });
        assert_eq!(uses("pub use a::b;"), named(true, "b"));
        assert_eq!(uses("pub(crate) use a::b as c;"), named(true, "c"));
        assert_eq!(uses("use a::*;"), Some(MentionKind::Use { public: false, name: None }));
    }

    #[test]
    fn inline_modules_are_followed() {
        let found = mentions("mod a { mod b { super::c::d(); } e::f(); } g::h();");
        let inside: Vec<_> = found.iter().map(|mention| mention.inside.join("::")).collect();
        assert_eq!(inside, ["a::b", "a", ""]);
    }

    #[test]
    fn imported_names_are_resolved_through_each_other() {
        let imports = Imports::of(&mentions("use std::time as t; use t::Instant as I; use redis;"));
        let resolve = |path: &str| imports.resolve(&path.split("::").map(str::to_owned).collect::<Vec<_>>()).join("::");
        assert_eq!(resolve("I::now"), "std::time::Instant::now");
        assert_eq!(resolve("redis::Client"), "redis::Client");
        assert_eq!(resolve("a::b"), "a::b");
    }
}
