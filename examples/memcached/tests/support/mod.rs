//! What tests of the tier share: a server of their own, and what is said to it directly.
#![allow(dead_code, unreachable_pub)] // each test program uses a part of it
#![allow(clippy::unwrap_used)] // everything here is a test

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use memcached_tier::MemcachedBuilder;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// How long a server may take to start, or tests may wait for what is done in the background.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A `memcached` on 127.0.0.1, on a port that the system chose; it is killed, by its own process id, when it is dropped.
pub struct Server {
    folder: TempDir,
    arguments: Vec<String>,
    port: u16,
    child: Mutex<Child>,
}

impl Server {
    /// Starts it with 64 MiB, and with further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, port) = run(folder.path(), arguments, "-1");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { folder, arguments, port, child: Mutex::new(child) }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sets a tier up that is patient: how long a busy machine takes is not what is tested.
    pub fn tier(&self, prefix: &str) -> MemcachedBuilder {
        memcached_tier::Memcached::builder(self.address()).prefix(prefix).deadline(PATIENCE)
    }

    /// Ends it as a crash does: everything it held is gone.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.restart_with(&arguments);
    }

    /// As [`restart`](Self::restart), with other arguments.
    pub fn restart_with(&self, arguments: &[&str]) {
        self.kill();
        *self.child.lock().unwrap() = run(self.folder.path(), arguments, &self.port.to_string()).0;
    }

    /// Lets it stand still; connections stay, and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // the signal is on its way; the parent is told when every thread stands still
        let pid = Pid::from_child(&self.child.lock().unwrap());
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap();
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.lock().unwrap()), signal).unwrap();
    }

    /// Sends a line and returns the first line of the reply.
    pub fn say(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{line}\r\n").unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        reply.trim_end().to_owned()
    }

    /// Returns the keys it holds, as soon as there are so many.
    pub fn keys(&self, entries: usize) -> Vec<String> {
        let mut tried = Duration::ZERO;
        loop {
            let keys = self.dump();
            if keys.len() == entries {
                return keys;
            }
            assert!(tried < PATIENCE, "memcached has {} entries, not {entries}", keys.len());
            std::thread::sleep(PAUSE);
            tried += PAUSE;
        }
    }

    /// Returns keys it holds: none when it is busy with a crawl of its own, and not those that somebody uses just now.
    pub fn dump(&self) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"lru_crawler metadump all\r\n").unwrap();
        let lines = BufReader::new(stream).lines().map(|line| line.unwrap());
        let key = |line: String| line.split(' ').find_map(|word| word.strip_prefix("key=").map(str::to_owned));
        // the keys of such a dump are escaped as in a URL
        let keys = lines.take_while(|line| line != "END" && !line.starts_with("BUSY")).filter_map(key);
        keys.map(|key| key.replace("%3A", ":")).collect()
    }

    /// Returns what it holds of a key, byte for byte.
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        let mut stream = BufReader::new(TcpStream::connect(self.address()).unwrap());
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream.get_mut(), "mg {key} v\r\n").unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let size = line.trim_end().strip_prefix("VA ")?.parse().unwrap();
        let mut value = vec![0; size];
        stream.read_exact(&mut value).unwrap();
        Some(value)
    }

    /// Stores what an operator has kept from before.
    pub fn put_back(&self, key: &str, value: &[u8]) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "ms {key} {} T3600\r\n", value.len()).unwrap();
        stream.write_all(value).unwrap();
        stream.write_all(b"\r\n").unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        assert_eq!(reply, "HD\r\n");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // a failure means that it is gone already
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Starts the program; with port `-1` it takes one that is free, and writes into a file which.
fn run(folder: &Path, arguments: &[&str], port: &str) -> (Child, u16) {
    let file = folder.join("port");
    // one of an earlier start says nothing of this one
    let _ = std::fs::remove_file(&file);
    let mut command = Command::new("memcached");
    command.args(["-l", "127.0.0.1", "-p", port, "-m", "64", "-t", "2"]).args(arguments);
    // root must say as whom it runs; others are not asked
    command.args(["-u", "root"]).env("MEMCACHED_PORT_FILENAME", &file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("memcached is not in PATH: install the package `memcached`"),
        _ => panic!("starting memcached: {error}"),
    });
    let mut tried = Duration::ZERO;
    loop {
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        let port = written.lines().find_map(|line| line.strip_prefix("TCP INET: ")?.trim().parse().ok());
        if let Some(port) = port
            && TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            return (child, port);
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("memcached ended before it answered: {status}");
        }
        assert!(tried < PATIENCE, "memcached did not start within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
        tried += PAUSE;
    }
}

/// Waits until something done in the background has happened.
pub async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let waiting = async {
        while !happened() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("gave up waiting until {what}"));
}
