//! Without a live tracking connection nothing is served from the cache.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Server, key, until};
use crate::cli::{command, free_port};
use crate::support::http;
use crate::support::redis::{RedisServer, ServerSignal, eventually};

/// The ids of the connections on which changes are told.
fn told(redis: &RedisServer) -> Vec<String> {
    let list = redis.command(&[b"CLIENT", b"LIST"]);
    let field = |line: &str, name: &str| {
        let found = line.split(' ').find_map(|field| field.strip_prefix(name).map(str::to_owned));
        found.unwrap_or_default()
    };
    let told = list.lines().filter(|line| field(line, "flags=").contains('B'));
    told.map(|line| field(line.trim_start_matches(|c| c != 'i'), "id=")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_is_made_again_and_nothing_from_before_is_believed() {
    let redis = RedisServer::start();
    let here = Server::listening_on(&redis.url()).await;
    let key = key("a");
    for _ in 0..3 {
        here.files(&key, "old").await;
        here.keeps(&key, "old").await;
        let (ids, begun) = (told(&redis), here.begun());
        let [id] = &*ids else { panic!("one connection, not {ids:?}") };
        let killed = redis.command(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]);
        assert!(killed.starts_with(":1"), "{killed}");
        assert!(redis.command(&[b"SET", key.as_str().as_bytes(), b"new"]).starts_with("+OK"));
        here.hears(begun + 1).await;
        assert_eq!(here.lately(&key).await, "new");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_is_not_spoken_for_and_goes_on_where_it_was() {
    let redis = RedisServer::start();
    let here = Server::listening_on(&redis.url()).await;
    here.files(&key("a"), "1").await;
    here.keeps(&key("a"), "1").await;
    let begun = here.begun();
    redis.signal(ServerSignal::Stop);
    let since = Instant::now();
    while here.store.get_cached(&key("a")).await.is_ok() {
        // A second and a half without proof, and a second until the read itself gives up.
        assert!(since.elapsed() < Duration::from_secs(5), "still answers");
        tokio::task::yield_now().await;
    }
    assert_eq!(here.turns().last(), Some(&false));
    redis.signal(ServerSignal::Continue);
    here.hears(begun + 1).await;
    here.keeps(&key("a"), "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_restarted_with_something_else_is_believed() {
    let redis = RedisServer::start_strict();
    let here = Server::listening_on(&redis.url()).await;
    here.files(&key("a"), "1").await;
    here.keeps(&key("a"), "1").await;
    let begun = here.begun();
    redis.signal(ServerSignal::Kill);
    redis.restart();
    assert!(redis.command(&[b"SET", key("a").as_str().as_bytes(), b"2"]).starts_with("+OK"));
    here.hears(begun + 1).await;
    // The connection that reads may only now find out that it is gone, too.
    let read = async || here.store.get_cached(&key("a")).await;
    until("it is back", async || read().await.is_ok()).await;
    assert_eq!(read().await.expect("redis").as_deref(), Some(&b"2"[..]));
    here.keeps(&key("a"), "2").await;
}

/// Writes and reads by two ways in turn: nothing is ever what it was before.
async fn goes_on_without(redis: &RedisServer, here: &Server) {
    let key = key("a");
    for round in 0..50 {
        let round = round.to_string();
        here.files(&key, &round).await;
        assert_eq!(here.lately(&key).await, round);
        assert!(redis.command(&[b"SET", key.as_str().as_bytes(), b"by hand"]).starts_with("+OK"));
        assert_eq!(here.lately(&key).await, "by hand");
    }
    here.store.ping().await.expect("all else");
    assert_eq!((here.hits(), here.turns()), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_not_granted_nothing_is_kept_until_it_is() {
    let user = ["--user", "ada", "on", ">p", "~*", "+@all", "-client|tracking"];
    let redis = RedisServer::start_with_extra(&user);
    let here = Server::on(&format!("redis://ada:p@127.0.0.1:{}/", redis.port())).await;
    goes_on_without(&redis, &here).await;
    let refused = async || redis.command(&[b"ACL", b"LOG"]).contains("client|tracking");
    until("the refusal is noticed", refused).await;
    let granted = redis.command(&[b"ACL", b"SETUSER", b"ada", b"+client|tracking"]);
    assert!(granted.starts_with("+OK"));
    here.hears(1).await;
    here.keeps(&key("a"), "by hand").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_or_a_proxy_that_knows_no_resp3_is_one_without() {
    let redis = RedisServer::start_with_extra(&["--rename-command", "HELLO", "nobody-says-this"]);
    let here = Server::on(&redis.url()).await;
    goes_on_without(&redis, &here).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_once_in_its_log_that_nothing_is_told_and_serves() {
    let user = ["--user", "ada", "on", ">p", "~*", "+@all", "-client|tracking"];
    let redis = RedisServer::start_with_extra(&user);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let url = format!("redis://ada:p@127.0.0.1:{}/", redis.port());
    let port = free_port();
    let issuer = format!("http://localhost:{port}");
    let variables = [("REDIS_URL", &*url), ("ISSUER_URL", &*issuer)];
    let mut command = command(folder.path(), &variables);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).expect("a file"));
    let mut child = command.spawn().expect("the program");

    let said = || {
        let log = std::fs::read_to_string(&log).expect("text");
        log.lines().filter(|line| line.contains("redis client tracking is unavailable")).count()
    };
    let tries = || {
        let log = redis.command(&[b"ACL", b"LOG"]);
        // The count follows its name and its own type.
        let count = log.split("$5\r\ncount\r\n:").nth(1).and_then(|rest| rest.lines().next());
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    let enough = eventually(|| said() >= 1 && tries() >= 5);
    let http = http::client((Ipv4Addr::LOCALHOST, port).into());
    let ready = http.get(format!("{issuer}/ready")).send().await.map(|answer| answer.status());
    let (said, ended) = (said(), child.kill().and_then(|()| child.wait()));
    assert!(enough && said == 1, "{said} lines after {} tries", tries());
    assert_eq!(ready.expect("an answer"), 200);
    ended.expect("a program that ran until then");
}
