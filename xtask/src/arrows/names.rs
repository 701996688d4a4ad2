//! No glob re-exports, no module for leftovers.

use super::Context;
use crate::{
    Finding,
    scan::{MentionKind, tokens},
};

const REFUSED: &[&str] = &["prelude", "util", "utils", "helpers", "misc", "common"];

/// Checks re-exports and names of modules.
pub(super) fn check(context: &Context<'_>, found: &mut Vec<Finding>) {
    for mention in &context.mentions {
        if matches!(mention.kind, MentionKind::Use { public: true, name: None }) {
            let message = format!("`pub use {}::*`: list what is exported", mention.path.join("::"));
            found.push(context.finding(mention.line, "glob", message));
        }
    }
    let refused = |name: &str| format!("a module named `{name}` has no subject: name it after what it holds");
    let tokens = tokens(&context.code);
    for pair in tokens.windows(2).filter(|pair| pair[0].text == "mod" && REFUSED.contains(&pair[1].text)) {
        found.push(context.finding(pair[1].line, "names", refused(pair[1].text)));
    }
    if let Some(name) = context.source.module().iter().find(|part| REFUSED.contains(&part.as_str())) {
        found.push(context.finding(0, "names", refused(name)));
    }
}

#[cfg(test)]
mod tests {
    fn lines(path: &str, text: &str) -> Vec<usize> {
        super::super::try_rule("stratacache", path, text, super::check)
    }

    #[test]
    fn re_exports_are_explicit() {
        for text in ["pub use a::*;", "pub(crate) use a::b::*;", "pub use a::{b, c::*};"] {
            assert_eq!(lines("src/lib.rs", text), [1], "{text}");
        }
        for text in ["use super::*;", "pub use a::{b, c};", "#[cfg(test)] pub use a::*;"] {
            assert_eq!(lines("src/lib.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn modules_have_subjects() {
        assert_eq!(lines("src/lib.rs", "pub mod prelude { }\nmod utils;\nmod engine;"), [1, 2]);
        assert_eq!(lines("src/engine/utils.rs", ""), [0]);
        assert_eq!(lines("src/utils/mod.rs", ""), [0]);
    }
}
