//! One command, and the pipeline that it is sent in.

use redis::{Cmd, Pipeline, RedisResult, Script as RedisScript, Value, cmd};

use super::error::CommandError;

/// A Lua script, called by the hash of its source.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, hash: RedisScript::new(source).get_hash().to_owned() }
    }

    /// An `EVALSHA` with these keys. The caller appends the arguments.
    pub(super) fn call(&self, keys: &[String]) -> RedisCommand {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len()).arg(keys);
        RedisCommand { command, source: Some(self.source), critical: false }
    }
}

/// A command that can be sent again if the server answered that it did not run it.
pub(super) struct RedisCommand {
    pub(super) command: Cmd,
    source: Option<&'static str>,
    critical: bool,
}

/// What precedes the command in its pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SendOptions {
    /// `SCRIPT LOAD`, after a `NOSCRIPT`.
    pub(super) load_script: bool,
    /// `ASKING`, after an `ASK` redirection.
    pub(super) asking: bool,
}

/// The `WAIT` behind a critical write: how many replicas must have it, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplicaAcks {
    pub(super) replicas: u32,
    pub(super) millis: u64,
}

impl RedisCommand {
    /// A command that does not wait for replicas.
    pub(super) fn plain(command: Cmd) -> Self {
        Self { command, source: None, critical: false }
    }

    /// Marks a write that a failover must not lose: it waits for [`ReplicaAcks`] where they are configured.
    pub(super) fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    pub(super) fn is_critical(&self) -> bool {
        self.critical
    }

    /// One pipeline, so that no command of another caller comes between its parts.
    pub(super) fn to_pipeline(&self, options: SendOptions, acks: Option<ReplicaAcks>) -> Pipeline {
        let mut pipeline = Pipeline::new();
        if let Some(source) = self.source.filter(|_| options.load_script) {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
        }
        if options.asking {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(self.command.clone());
        if let Some(acks) = acks {
            pipeline.cmd("WAIT").arg(acks.replicas).arg(acks.millis);
        }
        pipeline
    }
}

/// Picks the reply to the command itself out of the replies to its pipeline.
pub(super) fn parse_replies(
    mut replies: Vec<Value>,
    acks: Option<ReplicaAcks>,
) -> RedisResult<RedisReply> {
    let waited = if acks.is_some() { replies.pop() } else { None };
    let reply = replies.pop().unwrap_or(Value::Nil).extract_error()?;
    let (Some(acks), Some(waited)) = (acks, waited) else { return Ok(RedisReply::Done(reply)) };
    // Where nothing was written there is nothing for a replica to have.
    if matches!(reply, Value::Nil | Value::Int(0)) {
        return Ok(RedisReply::Done(reply));
    }
    match waited.extract_error()? {
        Value::Int(count) if count >= i64::from(acks.replicas) => Ok(RedisReply::Done(reply)),
        _ => Ok(RedisReply::TooFewReplicas),
    }
}

/// The outcome of a command that ran.
pub(super) enum RedisReply {
    Done(Value),
    /// The primary has the write, but too few replicas acknowledged it: a failover may lose it.
    TooFewReplicas,
}

impl RedisReply {
    pub(super) fn require_acks(self) -> Result<Value, CommandError> {
        match self {
            Self::Done(value) => Ok(value),
            Self::TooFewReplicas => Err(CommandError::unavailable(
                "fewer replicas have the write than REDIS_MIN_REPLICAS_ACK",
            )),
        }
    }
}
