//! One command as it is said to one server, with what has to be said before and after it.

use redis::{Cmd, Pipeline, RedisResult, Script, Value, cmd};

use super::failure::Failure;

/// A script and the name redis knows it by.
pub(super) struct Lua {
    source: &'static str,
    hash: String,
}

impl Lua {
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, hash: Script::new(source).get_hash().to_owned() }
    }

    /// A call of it, with these keys; the arguments follow.
    pub(super) fn on(&self, keys: &[String]) -> Order {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len()).arg(keys);
        Order { command, source: Some(self.source), critical: false }
    }
}

/// A command that can be said as often as it is refused unrun.
pub(super) struct Order {
    pub(super) command: Cmd,
    source: Option<&'static str>,
    critical: bool,
}

/// What goes with the command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    /// The script itself, since it is not known there.
    pub(super) load: bool,
    /// `ASKING`, since the slot is only on its way there.
    pub(super) asking: bool,
}

/// How many replicas must have a critical write, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acks {
    pub(super) replicas: u32,
    pub(super) millis: u64,
}

impl Order {
    /// Not a question, or a question only.
    pub(super) fn plain(command: Cmd) -> Self {
        Self { command, source: None, critical: false }
    }

    /// What it changes must not be lost by a failover.
    pub(super) fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    pub(super) fn is_critical(&self) -> bool {
        self.critical
    }

    /// Everything in one go, so that nothing of another caller comes between.
    pub(super) fn said(&self, manner: Manner, acks: Option<Acks>) -> Pipeline {
        let mut pipeline = Pipeline::new();
        if let Some(source) = self.source.filter(|_| manner.load) {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        if manner.asking {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(self.command.clone());
        if let Some(acks) = acks {
            pipeline.cmd("WAIT").arg(acks.replicas).arg(acks.millis);
        }
        pipeline
    }
}

/// The answer to the command itself among the answers to the pipeline.
pub(super) fn answer(mut replies: Vec<Value>, acks: Option<Acks>) -> RedisResult<Heard> {
    let waited = if acks.is_some() { replies.pop() } else { None };
    let answer = replies.pop().unwrap_or(Value::Nil).extract_error()?;
    let (Some(acks), Some(waited)) = (acks, waited) else { return Ok(Heard::All(answer)) };
    // Where nothing was written there is nothing for a replica to have.
    if matches!(answer, Value::Nil | Value::Int(0)) {
        return Ok(Heard::All(answer));
    }
    match waited.extract_error()? {
        Value::Int(count) if count >= i64::from(acks.replicas) => Ok(Heard::All(answer)),
        _ => Ok(Heard::TooFewReplicas),
    }
}

/// What came of a command that ran.
pub(super) enum Heard {
    All(Value),
    /// It was done, but too few replicas have it: whoever asked must not count on it.
    TooFewReplicas,
}

impl Heard {
    pub(super) fn enough(self) -> Result<Value, Failure> {
        match self {
            Self::All(value) => Ok(value),
            Self::TooFewReplicas => Err(Failure::unavailable(
                "fewer replicas have the write than REDIS_MIN_REPLICAS_ACK",
            )),
        }
    }
}
