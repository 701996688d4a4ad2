//! A real Postgres.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    ServerError, ports,
    tls::{self, Files},
    wait::until,
};
use crate::spawn;

const STARTED: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(30);
const INSTALL: &str = "install the Debian package postgresql";
/// Where Debian puts the programs, which are not in `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What of a shell's settings would lead the programs elsewhere.
const ELSEWHERE: [&str; 10] = [
    "PGDATA",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSWORD",
    "PGPORT",
    "PGSERVICE",
    "PGSSLMODE",
    "PGUSER",
];

/// A Postgres of its own cluster in a temporary folder, which runs until it is dropped.
///
/// It listens on 127.0.0.1 on a free port and trusts whoever connects; the only user is `postgres`. It forces nothing to the disk: a kill
/// of its processes loses nothing, a crash of the machine would. Under root it runs as the user `postgres` of the system, since it
/// refuses root.
#[derive(Debug)]
pub struct PostgresServer(Arc<Cluster>);

#[derive(Debug)]
struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Whose processes they are, where that is not us.
    user: Option<(u32, u32)>,
    port: u16,
    tls: Option<Files>,
    process: Mutex<Option<Child>>,
}

impl PostgresServer {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// [`NotInstalled`](ServerError::NotInstalled) where Postgres is missing, and what else can go wrong with a server.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it is started and ended all the same.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(false).await
    }

    /// Makes a cluster that speaks TLS, too, with a certificate for 127.0.0.1 of an authority of its own, and starts it.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    ///
    /// # Cancel safety
    /// As of [`start`](Self::start).
    pub async fn start_tls() -> Result<Self, ServerError> {
        Self::start_with(true).await
    }

    async fn start_with(tls: bool) -> Result<Self, ServerError> {
        let cluster = spawn::blocking(move || {
            let mut cluster = Cluster::new()?;
            if tls {
                cluster.make_certificate()?;
            }
            cluster.run()?;
            Ok::<_, ServerError>(cluster)
        });
        Ok(Self(Arc::new(cluster.await?)))
    }

    /// Returns the URL for clients, without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port())
    }

    /// Returns the certificate of the authority that clients must trust, in PEM; none without
    /// [`start_tls`](Self::start_tls).
    #[must_use]
    pub fn ca_path(&self) -> Option<&Path> {
        self.0.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// Returns the port; it stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Returns the id of the first process; none while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.process().as_ref().map(Child::id)
    }

    /// Returns the end of its log, to print when a test fails.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.0.log_tail()
    }

    /// Runs SQL by `psql`, as the user `postgres`, and returns what it prints: a line for each row, columns separated by `|`.
    ///
    /// # Errors
    /// [`Tool`](ServerError::Tool) with what `psql` said.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the SQL may still be carried out.
    pub async fn sql(&self, sql: impl Into<String>) -> Result<String, ServerError> {
        let (cluster, sql) = (Arc::clone(&self.0), sql.into());
        spawn::blocking(move || cluster.sql(&sql)).await
    }

    /// Ends its first process as a crash does, with `SIGKILL`; the others end soon after.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it ends all the same.
    pub async fn kill(&self) -> Result<(), ServerError> {
        let cluster = Arc::clone(&self.0);
        spawn::blocking(move || cluster.kill()).await
    }

    /// Ends it in order, clients or not, and waits until it is gone.
    ///
    /// # Errors
    /// [`Timeout`](ServerError::Timeout) when it does not end within 30 s.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it ends all the same.
    pub async fn stop(&self) -> Result<(), ServerError> {
        let cluster = Arc::clone(&self.0);
        spawn::blocking(move || cluster.stop()).await
    }

    /// Starts it again with its data and port, after a kill if it runs.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it starts all the same.
    pub async fn restart(&self) -> Result<(), ServerError> {
        let cluster = Arc::clone(&self.0);
        spawn::blocking(move || {
            cluster.kill()?;
            cluster.run()
        })
        .await
    }
}

impl Cluster {
    fn new() -> Result<Self, ServerError> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("strata-").tempdir();
        let folder = folder.map_err(ServerError::io("making a temporary folder for Postgres"))?;
        let user = if rustix::process::geteuid().is_root() { Some(user_postgres()?) } else { None };
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(ServerError::io("giving a folder to postgres"))?;
            enterable(folder.path(), uid)?;
        }
        let port =
            ports::free().ok_or_else(|| ServerError::Tool { tool: "postgres", said: "no port is free".into() })?;
        let cluster = Self { folder, programs, user, port, tls: None, process: Mutex::default() };
        let data = cluster.data();
        let args: [&OsStr; 8] = [
            "-D".as_ref(),
            data.as_os_str(),
            "-U".as_ref(),
            "postgres".as_ref(),
            "--auth=trust".as_ref(),
            "--encoding=UTF8".as_ref(),
            "--locale=C".as_ref(),
            "--no-sync".as_ref(),
        ];
        cluster.tool("initdb", &args)?;
        Ok(cluster)
    }

    fn make_certificate(&mut self) -> Result<(), ServerError> {
        let files = tls::make(self.folder.path())?;
        if let Some((uid, gid)) = self.user {
            for file in [&files.certificate, &files.key] {
                chown(file, Some(uid), Some(gid)).map_err(ServerError::io("giving a file to postgres"))?;
            }
        }
        self.tls = Some(files);
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // a home that the other user may not look into would be an error of its own
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        ELSEWHERE.iter().for_each(|name| {
            command.env_remove(name);
        });
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn tool(&self, tool: &'static str, args: &[&OsStr]) -> Result<String, ServerError> {
        let output = self.command(tool).args(args).output().map_err(ServerError::io(format!("running {tool}")))?;
        if !output.status.success() {
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            return Err(ServerError::Tool { tool, said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run(&self) -> Result<(), ServerError> {
        // after a kill the other processes may hold the shared memory for a moment
        until("Postgres to start", STARTED, || {
            self.launch()?;
            self.until_ready()
        })
    }

    fn launch(&self) -> Result<(), ServerError> {
        let log = || -> std::io::Result<(File, File)> {
            let log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
            Ok((log.try_clone()?, log))
        };
        let (out, errors) = log().map_err(ServerError::io("opening the log of Postgres"))?;
        let mut settings = vec![
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            // none: a long path to the folder is no name of a socket
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "max_connections=100".to_owned(),
            "shared_buffers=16MB".to_owned(),
        ];
        if let Some(files) = &self.tls {
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_cert_file={}", files.certificate.display()));
            settings.push(format!("ssl_key_file={}", files.key.display()));
        }
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).stdout(out).stderr(errors);
        settings.iter().for_each(|setting| {
            command.arg("-c").arg(setting);
        });
        let child = command.spawn().map_err(ServerError::io("starting postgres"))?;
        *self.process() = Some(child);
        Ok(())
    }

    /// Waits until it answers; the `Err` inside says that it ended, and may be started again.
    fn until_ready(&self) -> Result<Result<(), String>, ServerError> {
        let port = self.port.to_string();
        until("Postgres to answer", STARTED, || {
            if self.has_ended()? {
                return Ok(Ok(Err(self.log_tail())));
            }
            let ready = self.command("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            let ready = ready.map_err(ServerError::io("running pg_isready"))?;
            Ok(if ready.success() { Ok(Ok(())) } else { Err(self.log_tail()) })
        })
    }

    fn sql(&self, sql: &str) -> Result<String, ServerError> {
        let port = self.port.to_string();
        let args = [
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-c",
            sql,
        ];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        Ok(self.tool("psql", &args)?.trim_end().to_owned())
    }

    fn kill(&self) -> Result<(), ServerError> {
        let mut process = self.process();
        if let Some(child) = &mut *process {
            child.kill().and_then(|()| child.wait()).map_err(ServerError::io("killing postgres"))?;
        }
        *process = None;
        Ok(())
    }

    fn stop(&self) -> Result<(), ServerError> {
        if let Some(child) = &*self.process() {
            // "fast": it ends whoever is connected
            let sent = kill_process(Pid::from_child(child), Signal::INT);
            sent.map_err(|error| ServerError::io("stopping postgres")(error.into()))?;
        }
        until("Postgres to stop", STOPPED, || Ok(if self.has_ended()? { Ok(()) } else { Err(self.log_tail()) }))
    }

    fn has_ended(&self) -> Result<bool, ServerError> {
        let mut process = self.process();
        let Some(child) = &mut *process else { return Ok(true) };
        let ended = child.try_wait().map_err(ServerError::io("asking for the state of postgres"))?.is_some();
        if ended {
            *process = None;
        }
        Ok(ended)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // fails only if it is gone already
        let _ = self.kill();
    }
}

/// Returns the folder of the newest Postgres that Debian has, or that of `PATH`.
fn programs() -> Result<PathBuf, ServerError> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists() && folder.join("psql").exists())
        .max();
    if let Some((_, folder)) = newest {
        return Ok(folder);
    }
    let found = Command::new("initdb").arg("--version").output().is_ok_and(|output| output.status.success());
    if found { Ok(PathBuf::new()) } else { Err(ServerError::NotInstalled { program: "postgres", install: INSTALL }) }
}

/// Checks that a user may enter the folders above one: what fails without that does not say why.
fn enterable(folder: &Path, uid: u32) -> Result<(), ServerError> {
    for above in folder.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        let seen = fs::metadata(above).map_err(ServerError::io("looking at the folder for temporary files"))?;
        let bit = if seen.uid() == uid { 0o100 } else { 0o001 };
        if seen.mode() & bit == 0 {
            let said = format!(
                "the user postgres may not enter {}; set TMPDIR to a folder that all may enter",
                above.display()
            );
            return Err(ServerError::Tool { tool: "initdb", said });
        }
    }
    Ok(())
}

fn user_postgres() -> Result<(u32, u32), ServerError> {
    let users = fs::read_to_string(Path::new("/etc/passwd")).map_err(ServerError::io("reading the users"))?;
    let of = |line: &str| {
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let user = users.lines().find(|line| line.starts_with("postgres:")).and_then(of);
    user.ok_or(ServerError::NotInstalled { program: "postgres", install: INSTALL })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_in_one_that_is_closed_to_the_other_user_is_refused_by_the_name_of_the_knob() {
        let closed = TempDir::new().unwrap();
        let inner = closed.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let somebody = fs::metadata(&inner).unwrap().uid() + 12_345;
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(enterable(&inner, somebody).unwrap_err().to_string().contains("TMPDIR"));
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o711)).unwrap();
        enterable(&inner, somebody).unwrap();
    }
}
