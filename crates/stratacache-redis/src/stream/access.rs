//! What the user of a stream may do: the list to give it, and whether it may.

use redis::Value;

use super::keys::Keys;
use crate::link::{Command, Failure, Link, Refusal};

/// The commands that a follower sends, those inside scripts among them.
const COMMANDS: &str = "+cluster|slots +asking +eval +evalsha +get +set +del +pexpire +time +exists +hmget +hset \
     +xinfo|stream +xrange +xadd";

/// Returns the permissions that the user of a consumer needs.
pub(super) fn acl(keys: &Keys) -> String {
    let (stream, consumer) = (pattern(&keys.stream), pattern(&keys.consumer));
    format!("resetkeys ~{stream} ~{consumer} ~{consumer}:* resetchannels nocommands {COMMANDS}")
}

/// Writes a key as a pattern that fits it, in one word and without quotes: what cannot be in a word is any byte.
fn pattern(key: &str) -> String {
    let mut pattern = String::with_capacity(key.len());
    for char in key.chars() {
        match char {
            '*' | '?' | '[' | ']' | '\\' => pattern.extend(['\\', char]),
            '"' | '\'' => pattern.push('?'),
            _ if char.is_whitespace() || char.is_control() => pattern.extend(std::iter::repeat_n('?', char.len_utf8())),
            _ => pattern.push(char),
        }
    }
    pattern
}

/// In the place of a key that never exists.
const KEY: &str = "<key>";

/// What a follower sends, itself or by a script. Nothing is changed by it.
const SENT: &[&[&str]] = &[
    &["TIME"],
    &["GET", KEY],
    &["SET", KEY, "", "XX"],
    &["DEL", KEY],
    &["PEXPIRE", KEY, "1"],
    &["EXISTS", KEY],
    &["HMGET", KEY, "f"],
    &["HSET", KEY, "f", "v", "a field without a value"],
    &["XINFO", "STREAM", KEY],
    &["XRANGE", KEY, "-", "+"],
    &["XADD", KEY, "NOMKSTREAM", "*", "f", "v"],
];
/// What is sent to a cluster besides; the last word of it is about the command behind it.
const SENT_TO_CLUSTERS: &[&[&str]] = &[&["ASKING"], &["GET", KEY]];

/// Runs every command once at the server that has the stream: of what scripts run, older servers do not say what is missing.
pub(super) async fn try_commands(link: &Link, keys: &Keys, cluster: bool) -> Result<(), Failure> {
    let more = if cluster { SENT_TO_CLUSTERS } else { &[] };
    // the keys of a script have to be open to all that a script may do
    let script = ["EVAL", "return 0", "4", &keys.stream, &keys.lock, &keys.consumer, &keys.poison];
    let word = |word: &&'static str| if *word == KEY { keys.nothing.as_str() } else { *word };
    let sent = SENT.iter().chain(more).map(|words| words.iter().map(word).collect::<Vec<_>>());
    let commands: Vec<Command> =
        std::iter::once(script.to_vec()).chain(sent).map(|words| Command::plain(&words)).collect();
    for value in link.call(keys.slot, &commands).await?.1.values {
        if let Value::ServerError(error) = &value
            && let refusal = Refusal::new(error)
            && refusal.denied.is_some()
        {
            return Err(Failure::Refused(refusal));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_the_keys_of_one_consumer_and_is_made_of_words() {
        let line = acl(&Keys::new("changes", "web"));
        let keys = "resetkeys ~changes ~{changes}:strata:web ~{changes}:strata:web:* resetchannels nocommands +";
        assert!(line.starts_with(keys), "{line}");
        let odd = acl(&Keys::new("a* b\"[c\u{2003}", "web"));
        assert!(odd.starts_with("resetkeys ~a\\*?b?\\[c??? ~{a\\*?b?\\[c???}:strata:web ~{"), "{odd}");
    }
}
