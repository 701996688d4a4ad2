//! The process of a server; everything here blocks.

use std::{
    io::ErrorKind,
    path::PathBuf,
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitIdOptions, kill_process, waitid};

use super::{
    Program, Reply, ServerError,
    folder::Folder,
    resp::Connection,
    wait::{Deadline, until},
};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);
const REPLY: Duration = Duration::from_secs(10);
const PORT_FREED: Duration = Duration::from_secs(10);
/// What of a command is shown in an error.
const SHOWN: usize = 120;

/// Where a server is.
#[derive(Debug, Clone, Default)]
pub(super) struct Address {
    /// For clients.
    pub(super) port: u16,
    /// Without TLS, for us and for replicas.
    pub(super) plain_port: u16,
    pub(super) password: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Instance {
    program: Program,
    pub(super) folder: Folder,
    pub(super) address: Address,
    process: Mutex<Process>,
}

#[derive(Debug, Default)]
struct Process {
    child: Option<Child>,
    paused: bool,
}

impl Instance {
    pub(super) fn new(program: Program, folder: Folder, address: Address) -> Self {
        Self { program, folder, address, process: Mutex::default() }
    }

    /// Starts the process and waits until it answers.
    pub(super) fn run(&self) -> Result<(), ServerError> {
        let (child, log_begin) = self.folder.launch(self.program)?;
        let pid = child.id();
        *self.process() = Process { child: Some(child), paused: false };
        let deadline = Deadline::after(START);
        loop {
            if self.has_ended()? {
                let log = self.folder.log_tail(log_begin);
                return Err(ServerError::NotStarted { program: self.program.name(), log });
            }
            let answer = self.ask_for_pid();
            if answer == Some(pid) {
                return Ok(());
            }
            let gave_up = || (format!("{} to answer", self.program.name()), self.folder.log_tail(log_begin));
            if let Err(error) = deadline.pause(gave_up) {
                self.kill()?;
                return Err(error);
            }
        }
    }

    /// Returns which process answers at our port: somebody else's server may have been faster.
    fn ask_for_pid(&self) -> Option<u32> {
        let mut connection = self.connect(REPLY).ok()?;
        let pong = connection.call(&["PING"]).ok()?;
        let info = connection.call(&["INFO", "server"]).ok()?.text()?;
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:"))?.trim().parse().ok()?;
        (pong == Reply::Status("PONG".into())).then_some(pid)
    }

    fn connect(&self, timeout: Duration) -> std::io::Result<Connection> {
        let mut connection = Connection::open(self.address.plain_port, timeout)?;
        if let Some(password) = &self.address.password {
            connection.call(&["AUTH", password])?;
        }
        Ok(connection)
    }

    pub(super) fn call<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Reply, ServerError> {
        let reply = self.connect(REPLY).and_then(|mut connection| connection.call(args));
        match reply {
            Ok(Reply::Error(message)) => Err(ServerError::Refused { command: shown(args), message }),
            Ok(reply) => Ok(reply),
            // both are how systems say that a timeout of a socket has passed
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let waited_for = format!("the reply to `{}`", shown(args));
                Err(ServerError::Timeout { waited_for, after: REPLY, seen: error.to_string() })
            }
            Err(error) => Err(ServerError::io(format!("sending `{}` to {}", shown(args), self.program.name()))(error)),
        }
    }

    /// Returns the id of the process, if it runs or is paused.
    pub(super) fn pid(&self) -> Option<u32> {
        // a child that nobody can ask for is nobody's child
        if self.has_ended().unwrap_or(true) { None } else { self.process().child.as_ref().map(Child::id) }
    }

    /// Tells whether it runs and is not paused.
    pub(super) fn is_up(&self) -> bool {
        self.pid().is_some() && !self.process().paused
    }

    pub(super) fn kill(&self) -> Result<(), ServerError> {
        let mut process = self.process();
        if let Some(child) = &mut process.child {
            child.kill().and_then(|()| child.wait()).map_err(ServerError::io("killing a server"))?;
        }
        *process = Process::default();
        Ok(())
    }

    pub(super) fn stop(&self) -> Result<(), ServerError> {
        self.resume()?;
        self.signal(Signal::TERM)?;
        until("a server to stop", STOP, || Ok(if self.has_ended()? { Ok(()) } else { Err(self.folder.log_tail(0)) }))
    }

    pub(super) fn restart(&self) -> Result<(), ServerError> {
        self.kill()?;
        let deadline = Deadline::after(PORT_FREED);
        loop {
            match self.run() {
                // whoever tried the port meanwhile gives it back
                Err(error) if error.is_port_taken() => {
                    let seen = error.to_string();
                    deadline.pause(|| (format!("port {} to be free again", self.address.plain_port), seen))?;
                }
                other => return other,
            }
        }
    }

    /// Stops the process where it is; returns when it stands.
    pub(super) fn pause(&self) -> Result<(), ServerError> {
        if !self.is_up() || !self.signal(Signal::STOP)? {
            return Ok(());
        }
        until("a server to stand still", STOP, || {
            let process = self.process();
            let Some(pid) = process.child.as_ref().map(Pid::from_child) else { return Ok(Ok(())) };
            let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
            let status = waitid(rustix::process::WaitId::Pid(pid), options);
            match status.map_err(|error| ServerError::io("pausing a server")(error.into()))? {
                Some(_) => Ok(Ok(())),
                None => Ok(Err("it runs".to_owned())),
            }
        })?;
        self.process().paused = true;
        Ok(())
    }

    pub(super) fn resume(&self) -> Result<(), ServerError> {
        self.signal(Signal::CONT)?;
        self.process().paused = false;
        Ok(())
    }

    /// Sends a signal; tells whether there was a process.
    fn signal(&self, signal: Signal) -> Result<bool, ServerError> {
        let process = self.process(); // held, so that nobody waits for the child: its id stays its own
        let Some(child) = &process.child else { return Ok(false) };
        let sent = kill_process(Pid::from_child(child), signal);
        sent.map_err(|error| ServerError::io("signalling a server")(error.into()))?;
        Ok(true)
    }

    fn has_ended(&self) -> Result<bool, ServerError> {
        let mut process = self.process();
        let Some(child) = &mut process.child else { return Ok(true) };
        let ended = child.try_wait().map_err(ServerError::io("asking for the state of a server"))?.is_some();
        if ended {
            *process = Process::default();
        }
        Ok(ended)
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // fails only if somebody else has waited for our child: then it is gone
        let _ = self.kill();
    }
}

impl ServerError {
    pub(super) fn is_port_taken(&self) -> bool {
        matches!(self, Self::NotStarted { log, .. } if log.contains("Address already in use"))
    }
}

fn shown<A: AsRef<[u8]>>(args: &[A]) -> String {
    let words: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg.as_ref())).collect();
    let command = words.join(" ");
    match command.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &command[..end]),
        None => command,
    }
}
