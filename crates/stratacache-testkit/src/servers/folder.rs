//! The folder of a server: its settings, its log, its data.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{Program, ServerError};

const CONFIG: &str = "server.conf";
const LOG: &str = "server.log";
const TAIL: usize = 20;

#[derive(Debug)]
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Result<Self, ServerError> {
        let doing = "making a temporary folder for a server";
        Ok(Self(tempfile::Builder::new().prefix("strata-").tempdir().map_err(ServerError::io(doing))?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the settings, one in a line; the last line of a setting counts.
    pub(super) fn configure(&self, settings: &[(String, String)]) -> Result<(), ServerError> {
        let mut text = String::new();
        for (key, value) in settings {
            // cannot fail, since it writes to a string
            let _ = writeln!(text, "{key} {value}");
        }
        std::fs::write(self.path().join(CONFIG), text).map_err(ServerError::io("writing the settings of a server"))
    }

    /// Starts a server whose output goes to the log, and returns how long the log was before.
    pub(super) fn launch(&self, program: Program) -> Result<(Child, u64), ServerError> {
        let starting = || format!("starting {}", program.name());
        let log = self.log().map_err(ServerError::io(starting()))?;
        let before = log.metadata().map_err(ServerError::io(starting()))?.len();
        let errors = log.try_clone().map_err(ServerError::io(starting()))?;
        let mut command = Command::new(program.name());
        command.arg(CONFIG).current_dir(self.path()).stdin(Stdio::null()).stdout(log).stderr(errors);
        match command.spawn() {
            Ok(child) => Ok((child, before)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ServerError::NotInstalled { program: program.name(), install: program.install() })
            }
            Err(error) => Err(ServerError::io(starting())(error)),
        }
    }

    fn log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.path().join(LOG))
    }

    /// Returns the last lines of what was logged after so many bytes.
    pub(super) fn log_tail(&self, after: u64) -> String {
        match std::fs::read(self.path().join(LOG)) {
            Ok(bytes) => {
                let begin = usize::try_from(after).unwrap_or(usize::MAX).min(bytes.len());
                let text = String::from_utf8_lossy(&bytes[begin..]);
                let lines: Vec<_> = text.lines().collect();
                lines[lines.len().saturating_sub(TAIL)..].join("\n")
            }
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }
}

/// Quotes a value for a file of settings.
pub(super) fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for char in value.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
