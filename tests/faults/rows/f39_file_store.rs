//! F39: the store in a folder: under a process that is killed, on a disk that is full, where a write fails
//! in the middle, and where nothing may be written.
//!
//! What was acknowledged is there, whole; what was not is there or not, and never half.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::checker::settle;
use crate::client::Tokens;
use crate::context::Bench;
use crate::parts::disk::Disk;
use crate::parts::http::send;
use crate::parts::installation::House;
use crate::parts::server::Server;
use crate::parts::startup_failure::Refusal;
use crate::report::Report;
use crate::workload::{self, Family, Load, Storm};

const SOON: Duration = Duration::from_secs(10);

/// `torn=0 lost=0 500=0`, and the storm's own bounds.
pub async fn run(bench: Bench) -> Vec<Report> {
    let mut reports = vec![kills(&bench).await, limit(&bench).await, log().await];
    let outer = tempfile::tempdir().expect("a folder");
    if let Some(disk) = Disk::of(8, outer.path()) {
        reports.push(full_disk(&bench, &disk).await);
        reports.push(read_only(&bench, &disk).await);
    } else {
        // The limit stands in for it.
        let mut report = Report::of("disk");
        report.says("mounted", "untried");
        reports.push(report);
    }
    reports
}

/// As F06, with one server and its folder.
async fn kills(bench: &Bench) -> Report {
    let house = House::new().await;
    let folder = house.folder().join("data");
    let server = house.starts(&format!("file:{}", folder.display())).await;
    let servers = [Arc::clone(&server)];
    let load = Load {
        families: bench.pick(40, 200),
        refreshes_per_s: 150.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let kills = bench.pick(6, 50);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        bench.somewhen(100..700).await;
        server.kill();
        slowest = slowest.max(server.starts_again().await);
    }
    bench.somewhen(300..400).await;
    let after = storm.ends().await;
    let mut report = Report::of("kill9");
    report.says("kills", kills).never("torn", torn(&server));
    after.tells(&mut report).await;
    report.measures("gap_s", after.ledger.gap().as_secs_f64()).promises(
        "restart_to_ready_s",
        slowest.as_secs_f64(),
        1.0,
        5.0,
    );
    report
}

/// A file that may not grow any more, which is told in the middle of a write.
async fn limit(bench: &Bench) -> Report {
    let house = House::new().await;
    let folder = house.folder().join("data");
    // Without the signal, which would end the process.
    let under = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let plan = house.plan(&format!("file:{}", folder.display())).under(&under);
    let scene = Scene::of(house, plan.start().await, bench).await;
    let pid = scene.server.pid().unwrap_or_default().to_string();
    let size = std::fs::metadata(folder.join("latchkey.redb")).map_or(0, |it| it.len());
    let may_grow_to = |bytes: &str| {
        let limit = format!("--fsize={bytes}:unlimited");
        let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(set.is_ok_and(|it| it.success()), "the limit cannot be set");
    };
    // Half of what the file has: whatever is written behind that fails. The log is shorter.
    let fails = || may_grow_to(&(size / 2).to_string());
    scene.outlives("write_fails", fails, || may_grow_to("unlimited")).await
}

/// The disk that is full is the one with the log: nobody notices.
async fn log() -> Report {
    let house = House::new().await;
    let under = ["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"];
    let server = house.plan("memory:").under(&under).start().await;
    let servers = [Arc::clone(&server)];
    let families = workload::families(&house, &servers, 20).await;
    let settled = settle(&families, &servers).await;
    let mut report = Report::of("log_full");
    report.never("lost", settled.lost).must("alive", server.exit_code().is_none());
    server.signal(Signal::TERM);
    let ended = server.ends_within(SOON).await;
    report.must("exit_0", ended.is_some_and(|(code, _)| code == 0));
    report
}

async fn full_disk(bench: &Bench, disk: &Disk) -> Report {
    let scene = Scene::on(disk, "full", bench).await;
    scene.outlives("disk_full", || disk.fills(), || disk.has_room()).await
}

/// A disk that may not be written to: neither a store that is there nor a new one is begun with, and what
/// is there is whole when it may be again.
async fn read_only(bench: &Bench, disk: &Disk) -> Report {
    let scene = Scene::on(disk, "read-only", bench).await;
    let servers = [Arc::clone(&scene.server)];
    scene.server.kill();
    disk.is_writable(false);
    let mut report = Report::of("read_only");
    let (house, at) = (House::new().await, disk.at().display());
    for (case, name) in [("refused", "/read-only"), ("refused_new", "/new")] {
        let refusal = Refusal::of(house.plan(&format!("file:{at}{name}"))).await;
        let refused = refusal.is(69, name);
        report.must(case, refused);
        if !refused {
            report.says("came", format!("{refusal:?}"));
        }
    }
    disk.is_writable(true);
    scene.server.starts_again().await;
    let settled = settle(&scene.families, &servers).await;
    report.never("lost", settled.lost).never("torn", torn(&scene.server));
    report
}

/// A server with some families, on a store that is about to be hurt.
struct Scene {
    _house: House,
    server: Arc<Server>,
    families: Vec<Family>,
}

impl Scene {
    async fn on(disk: &Disk, name: &str, bench: &Bench) -> Self {
        let house = House::new().await;
        let server = house.starts(&format!("file:{}/{name}", disk.at().display())).await;
        Self::of(house, server, bench).await
    }

    async fn of(house: House, server: Arc<Server>, bench: &Bench) -> Self {
        let servers = [Arc::clone(&server)];
        let families = workload::families(&house, &servers, bench.pick(30, 200)).await;
        Self { _house: house, server, families }
    }

    /// It is hurt, and healed, and killed, and started again.
    async fn outlives(mut self, case: &str, hurts: impl FnOnce(), heals: impl FnOnce()) -> Report {
        let mut report = Report::of(case);
        let server = Arc::clone(&self.server);
        self.refresh().await;
        hurts();
        let (refused, mut bad) = self.refresh().await;
        report.at_least("refused", f64::from(refused), 1.0);
        let held = &self.families[0].held;
        let told = send(self.families[0].shop.introspecting(server.wire(), &held.access)).await;
        report
            .must("reads", told.json()["active"] == true)
            .must("live", send(server.wire().get("/live")).await.is(200));
        let not_ready = send(server.wire().get("/ready")).await.is(503);
        if case == "write_fails" {
            // One small write may still find room in front of where it ends.
            report.says("not_ready", not_ready);
        } else {
            report.must("not_ready", not_ready);
        }
        heals();
        let ready = server.comes_to("/ready", 200, SOON).await;
        report.must("ready_again", ready.is_some());
        let (still_refused, more_bad) = self.refresh().await;
        bad += more_bad;
        let servers = [Arc::clone(&server)];
        let settled = settle(&self.families, &servers).await;
        server.starts_again().await;
        // The tokens of a moment ago get the same successors.
        let again = settle(&self.families, &servers).await;
        report
            .never("refused_afterwards", still_refused as usize)
            .never("500", bad)
            .says("families", self.families.len())
            .never("lost", settled.lost + again.lost)
            .never("mix", settled.mixed + again.mixed)
            .never("torn", torn(&server))
            .never("panics", server.panics());
        report
    }

    /// Each once: how many were not now, and how many answers were 500.
    async fn refresh(&mut self) -> (u32, usize) {
        let (mut refused, mut bad) = (0, 0);
        for family in &mut self.families {
            let wire = self.server.wire();
            let reply = send(family.shop.refreshing(wire, &family.held.refresh)).await;
            refused += u32::from(reply.is(503));
            bad += usize::from(reply.is(500));
            if let Some(next) = Tokens::of(&reply) {
                family.before = Some(std::mem::replace(&mut family.held, next));
            }
        }
        (refused, bad)
    }
}

/// How often it said that its file is not whole.
fn torn(server: &Server) -> usize {
    server.log().matches("is damaged").count()
}
