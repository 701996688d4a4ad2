//! One node: this program once more, as a server in a process of its own.

use std::{env, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::timeout,
};

use crate::{
    options::handed_on,
    serve::{KEYS, SERVING_ON},
    server::Extras,
    tour::fresh::PREFIX,
};

/// Longer than a node takes to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all nodes are started with.
pub(in crate::tour) struct Launch {
    pub(in crate::tour) folder: PathBuf,
    pub(in crate::tour) redis: String,
    pub(in crate::tour) keys: String,
    /// What is below memory besides Redis.
    pub(in crate::tour) extras: Extras,
}

/// A node that runs. It ends with this process, however that ends: it watches the pipe.
pub(in crate::tour) struct Node {
    pub(in crate::tour) address: SocketAddr,
    child: Child,
    pipe: ChildStdin,
    // what it prints, thrown away
    _output: JoinSet<()>,
}

impl Launch {
    /// Starts a node and waits until it serves.
    pub(in crate::tour) async fn node(&self) -> Result<Node> {
        let (arguments, environment) = handed_on(&self.extras);
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve", "--port", "0", "--until-input-ends", "--prefix", PREFIX, "--data"])
            .arg(&self.folder)
            .args(arguments)
            .envs(environment)
            // not as arguments, which everybody on the machine can read
            .env("CRM_REDIS", &self.redis)
            .env(KEYS, &self.keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a node")?;
        let pipe = child.stdin.take().context("a node without a standard input")?;
        let output = child.stdout.take().context("a node without a standard output")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.context("a node did not start in time")??;
        let first = first.context("a node ended before it served; its reason is above")?;
        let address = first.strip_prefix(SERVING_ON).and_then(|rest| rest.split(' ').next());
        let address = address.context("a node did not say where it serves")?.parse()?;
        let mut drain = JoinSet::new();
        drain.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Node { address, child, pipe, _output: drain })
    }
}

impl Node {
    /// Kills it where it stands, as `kill -9` does.
    pub(super) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("killing a node")
    }

    /// Lets it end its work and waits for that.
    pub(in crate::tour) async fn stop(mut self) -> Result<()> {
        drop(self.pipe);
        let status = timeout(PATIENCE, self.child.wait()).await.context("a node did not stop in time")??;
        ensure!(status.success(), "a node ended with {status}");
        Ok(())
    }
}
