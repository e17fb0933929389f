//! F25: two versions side by side on one redis, during a rolling update.
//!
//! There is one build here, so the other version is played: what the next version would write is written
//! over the records while the servers work (members that nobody here knows, at the top and inside), in
//! one step in redis, so that nothing else gets lost. When a server of this version writes such a record it
//! leaves them out, which is what the next version has to take, too. Nothing is lost and nothing is an
//! unreadable record. When the store says in the end that its data takes the version after the next, a
//! server of this one does not start any more.

use std::process::Command;

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// What the next version adds, as text, so that everything else stays as it is byte for byte.
const NEXT_VERSION: &str = r#"
local changed = 0
for _, key in ipairs(redis.call('KEYS', 'latchkey:*')) do
  if redis.call('TYPE', key).ok == 'string' then
    local held = redis.call('GET', key)
    if held:sub(1, 1) == '{' and not held:find('of_the_next_version', 1, true) then
      local new = held:gsub('^{', '{"of_the_next_version":{"a":[1,null]},')
      for _, inside in ipairs({'settings', 'metadata', 'person', 'refresh', 'request', 'Issued',
          'Redeemed', 'destination', 'prompt'}) do
        new = new:gsub('"' .. inside .. '":{"', '"' .. inside .. '":{"of_the_next_version":1,"')
      end
      redis.call('SET', key, new, 'KEEPTTL')
      changed = changed + 1
    end
  end
end
return changed
"#;

/// `lost=0 500=0 unreadable=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load { families: context.pick(40, 200), codes_per_s: 20.0, ..Load::default() };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let turns = context.pick(15, 100);
    let mut changed = 0;
    for _ in 0..turns {
        context.random_delay(200..400).await;
        changed += runs_next_version(&redis);
    }
    // One that starts now reads what it finds, too.
    let third = installation.start_server(&redis.url()).await;
    let after = workload.stop_and_collect().await;
    let mut report = Report::new();
    report.figure("records_of_next", changed);
    after.report(&mut report).await;
    let schema = br#"{"written":99,"readable_by":98}"#;
    redis.command(&[b"SET", b"latchkey:{schema}schema.v1", schema]);
    let (code, said) = installation.plan(&redis.url()).run_to_exit().await;
    report.must("refused_by_newer", code == Some(69) && said.contains("newer Latchkey"));
    let all = servers.iter().chain([&third]);
    let unreadable = all.map(|server| server.log().matches("unreadable").count()).sum();
    report.never("unreadable", unreadable);
    vec![report]
}

fn runs_next_version(redis: &RedisServer) -> usize {
    let port = redis.port().to_string();
    let said = Command::new("redis-cli").args(["-p", &port, "EVAL", NEXT_VERSION, "0"]).output();
    let text = String::from_utf8_lossy(&said.expect("redis-cli").stdout).into_owned();
    text.trim().parse().unwrap_or_else(|_| panic!("redis says {text}"))
}
