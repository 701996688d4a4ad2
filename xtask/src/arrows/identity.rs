//! A tenant meets a key only in `core::key`.

use super::{Context, places::LIBRARIES};
use crate::{Finding, scan::tokens};

const RULE: &str = "identity";

/// What makes text or bytes out of several pieces.
const JOINERS: &[&str] = &["format", "concat", "write", "join", "push_str", "extend", "extend_from_slice", "update"];

/// What feeds a buffer or a hash.
const FEEDERS: &[&str] = &["push_str", "extend_from_slice", "put_slice", "write", "write_all", "update", "hash"];

/// Checks that shipped code does not build a name out of a tenant and a key by hand. Two signs are looked for in each
/// statement: pieces joined that speak of both, and the text of a tenant fed to a buffer or hash.
pub(super) fn check(context: &Context<'_>, found: &mut Vec<Finding>) {
    let source = context.source;
    let at_home = source.package == "stratacache-core" && source.room().as_deref() == Some("key");
    if at_home || !LIBRARIES.contains(&source.package.as_str()) {
        return;
    }
    let code = source.shipped_with_literals();
    for (line, statement) in statements(&code) {
        let words: Vec<_> = tokens(statement).into_iter().filter(|token| token.is_word()).map(|t| t.text).collect();
        let speaks_of = |name: &str| words.iter().any(|word| word.split('_').any(|part| part == name));
        let says = |names: &[&str]| words.iter().any(|word| names.contains(word));
        let joins = says(JOINERS) && speaks_of("tenant") && speaks_of("key");
        let feeds = says(FEEDERS) && speaks_of("tenant") && says(&["as_str", "as_bytes"]);
        // the text of an error, or of a `Display`, is read by people and names nothing
        let for_people =
            speaks_of("Error") || says(&["panic", "assert", "assert_eq"]) || writes_to_formatter(statement);
        if (joins || feeds) && !for_people {
            let message = "a tenant is joined to a key by hand: names, checks and scopes come from `Deployment`";
            found.push(context.finding(line, RULE, message));
        }
    }
}

/// Tells whether a statement is a `write!(f, ..)`, with the formatter by its usual name.
fn writes_to_formatter(statement: &str) -> bool {
    let tokens: Vec<_> = tokens(statement).into_iter().map(|token| token.text).collect();
    tokens.windows(5).any(|five| matches!(five, ["write" | "writeln", "!", "(", "f", ","]))
}

/// Cuts code at semicolons and braces outside of literals; gives each piece with the line it begins on.
fn statements(code: &str) -> Vec<(usize, &str)> {
    let masked = crate::scan::Masked::new(code).code;
    let mut found = Vec::new();
    let mut start = 0;
    for (at, byte) in masked.bytes().enumerate().chain([(masked.len(), b';')]) {
        if matches!(byte, b';' | b'{' | b'}') {
            let blank = masked[start..at].len() - masked[start..at].trim_start().len();
            let line = 1 + masked[..start + blank].bytes().filter(|byte| *byte == b'\n').count();
            found.push((line, &code[start..at]));
            start = at + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    fn lines(package: &str, path: &str, text: &str) -> Vec<usize> {
        super::super::try_rule(package, path, text, super::check)
    }

    const BAD: &[&str] = &[
        "fn a() {\n let b = format!(\"{tenant}:{key}\");\n}",
        "fn a() {\n let b = format!(\"{}:{}\", self.tenant, c.key);\n}",
        "fn a() {\n let b = [tenant.as_str(), key].join(\":\");\n}",
        "fn a() {\n let b = [tenant_id.as_bytes(), key_bytes].concat();\n}",
        "fn a() {\n b.extend_from_slice(tenant.as_str().as_bytes());\n}",
        "fn a() {\n write!(name, \"{tenant}:{key}\");\n}",
        "fn a() {\n hasher.write(self.tenant.as_str().as_bytes());\n}",
    ];

    #[test]
    fn a_tenant_is_joined_to_a_key_only_at_home() {
        for text in BAD {
            assert_eq!(lines("stratacache", "src/engine/read.rs", text), [2], "{text}");
            assert_eq!(lines("stratacache-core", "src/tier/mod.rs", text), [2], "{text}");
            assert_eq!(lines("stratacache-core", "src/key/identity.rs", text), [0; 0], "{text}");
            assert_eq!(lines("stratacache", "tests/a.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn using_the_hash_and_telling_people_are_fine() {
        for text in [
            "fn a() { let b = deployment.name(&tenant, &path, key.as_bytes()); }",
            "fn a() { return Err(Error::invalid(format!(\"tenant {tenant}: a key of {} bytes\", key.len()))); }",
            "fn a() { let b = format!(\"{tenant}\"); let c = format!(\"{key}\"); }",
            "fn a() { write!(f, \"tenant {} key {}\", self.tenant, self.key) }",
            "struct A { tenant: TenantId, key: Key }",
            "// format!(\"{tenant}:{key}\")\nconst A: &str = \"tenant key\";",
        ] {
            assert_eq!(lines("stratacache", "src/engine/read.rs", text), [0; 0], "{text}");
        }
    }
}
