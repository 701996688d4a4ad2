//! A node, seen from outside.

use std::{
    fs::File,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    checker::{Broken, Violation},
    node::{CLOSED, Order, READY, Setup},
};

const STARTING: Duration = Duration::from_secs(70);
const QUITTING: Duration = Duration::from_secs(20);

/// The process of a node.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    setup: Setup,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ready: bool,
    /// It may kill itself.
    armed: bool,
}

impl NodeProcess {
    pub(super) fn start(program: &Path, setup: Setup) -> Result<Self> {
        let complaints = setup.folder.join(format!("node-{}-{}.err", setup.node, setup.life));
        let mut child = Command::new(program)
            .arg("node")
            .arg(serde_json::to_string(&setup)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(complaints)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("a node has no output")?;
        Ok(Self { setup, child, lines: BufReader::new(stdout).lines(), ready: false, armed: false })
    }

    pub(crate) const fn number(&self) -> u32 {
        self.setup.node
    }

    pub(crate) const fn life(&self) -> u32 {
        self.setup.life
    }

    /// Waits until it works.
    pub(crate) async fn until_ready(&mut self) -> Result<()> {
        if self.ready {
            return Ok(());
        }
        let line = tokio::time::timeout(STARTING, self.lines.next_line()).await;
        match line.with_context(|| format!("node {} does not become ready", self.setup.node))?? {
            Some(line) if line == READY => self.ready = true,
            other => bail!("node {} said {other:?} instead of {READY}", self.setup.node),
        }
        Ok(())
    }

    /// Sends an order.
    pub(crate) async fn order(&mut self, order: Order) -> Result<()> {
        self.armed = matches!(order, Order::Arm { .. }) || self.armed;
        let line = format!("{}\n", serde_json::to_string(&order)?);
        let stdin = self.child.stdin.as_mut().context("a node has no input")?;
        match stdin.write_all(line.as_bytes()).await {
            Err(_) if self.armed => Ok(()), // it is gone already, as it was told
            sent => Ok(sent?),
        }
    }

    /// Waits until it is gone, if that does not take too long.
    pub(crate) async fn until_dead(&mut self, patience: Duration) -> Result<bool> {
        // waiting would close the input, and a node whose input ends closes in order
        let input = self.child.stdin.take();
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        self.child.stdin = input;
        match ended {
            Ok(ended) => ended.map(|_| true).context("waiting for a node"),
            Err(_) => Ok(false),
        }
    }

    /// Kills it, unless it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn stand_still(&self, still: bool) -> Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.with_context(|| format!("node {} is gone", self.setup.node))?;
        Ok(kill_process(pid, if still { Signal::STOP } else { Signal::CONT })?)
    }

    /// Tells how it ended, if it ended and nobody told it to.
    pub(crate) fn has_ended(&mut self) -> Result<Option<String>> {
        let ended = |status: ExitStatus| format!("life {} ended by itself: {status}", self.setup.life);
        Ok(self.child.try_wait()?.map(ended))
    }

    /// Tells it to close, and what was not in order.
    pub(crate) async fn quit(&mut self) -> Result<Option<Violation>> {
        let number = self.setup.node;
        self.order(Order::Quit).await?;
        let said = tokio::time::timeout(QUITTING, self.lines.next_line()).await;
        let Ok(said) = said else {
            self.kill().await?;
            return Ok(Some(Violation::noted(Broken::LeftOver, number, "it did not quit in 20 s")));
        };
        let said = said?.unwrap_or_default();
        if !self.until_dead(QUITTING).await? {
            self.kill().await?;
            return Ok(Some(Violation::noted(Broken::LeftOver, number, "it closed, but did not end in 20 s")));
        }
        let in_order = said.strip_prefix(CLOSED).is_some_and(|rest| rest.trim().starts_with("0 0 "));
        let left = || Violation::noted(Broken::LeftOver, number, format!("closing left tasks or loads: {said}"));
        Ok((!in_order).then(left))
    }
}
