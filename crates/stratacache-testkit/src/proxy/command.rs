//! Which commands are meant.

use std::{fmt, sync::Arc};

use bytes::Bytes;

type Test = Arc<dyn Fn(&[Bytes]) -> bool + Send + Sync>;

/// Says which commands are meant: by name, by their arguments, or by a function.
///
/// ```
/// use stratacache_testkit::proxy::Command;
///
/// let all = Command::any();
/// let tail = Command::named("XREAD");
/// let script = Command::named("EVALSHA").with_arg("a42059b356c875f0717db19a51f6aaca9ae659ea");
/// let large = Command::matching(|args| args.iter().any(|arg| arg.len() > 1 << 20));
/// ```
#[derive(Clone, Default)]
pub struct Command {
    name: Option<String>,
    args: Vec<Bytes>,
    test: Option<Test>,
}

impl Command {
    /// Means every command.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Means the commands of a name, in capitals or not: the first word, for example `CLIENT`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// Means the commands for which a function says so; it sees the name and all arguments.
    #[must_use]
    pub fn matching(test: impl Fn(&[Bytes]) -> bool + Send + Sync + 'static) -> Self {
        Self { test: Some(Arc::new(test)), ..Self::default() }
    }

    /// Means, of these, only those that have an argument, anywhere after the name, byte for byte.
    #[must_use]
    pub fn with_arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn means(&self, args: &[Bytes]) -> bool {
        let Some((name, rest)) = args.split_first() else { return false };
        self.name.as_ref().is_none_or(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
            && self.args.iter().all(|wanted| rest.contains(wanted))
            && self.test.as_ref().is_none_or(|test| test(args))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let test = self.test.as_ref().map(|_| "a function");
        f.debug_struct("Command").field("name", &self.name).field("args", &self.args).field("test", &test).finish()
    }
}
