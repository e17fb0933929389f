//! F39: the store in a folder: under a process that is killed, on a disk that is full, where a write fails
//! in the middle, and where nothing may be written.
//!
//! What was acknowledged is there, whole; what was not is there or not, and never half.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use crate::checker::check_families;
use crate::client::Tokens;
use crate::context::RunContext;
use crate::parts::disk::Disk;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::server::Server;
use crate::parts::startup_failure::StartupFailure;
use crate::report::Report;
use crate::workload::{self, Family, Load, Workload};

const SOON: Duration = Duration::from_secs(10);

/// `torn=0 lost=0 500=0`, and the workload's own bounds.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = vec![kills(&context).await, limit(&context).await, log().await];
    let outer = tempfile::tempdir().expect("a folder");
    if let Some(disk) = Disk::of(8, outer.path()) {
        reports.push(full_disk(&context, &disk).await);
        reports.push(read_only(&context, &disk).await);
    } else {
        // The limit stands in for it.
        let mut report = Report::of("disk");
        report.figure("mounted", "untried");
        reports.push(report);
    }
    reports
}

/// As F06, with one server and its folder.
async fn kills(context: &RunContext) -> Report {
    let installation = Installation::new().await;
    let folder = installation.folder().join("data");
    let server = installation.start_server(&format!("file:{}", folder.display())).await;
    let servers = [Arc::clone(&server)];
    let load = Load {
        families: context.pick(40, 200),
        refreshes_per_s: 150.0,
        codes_per_s: 15.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let kills = context.pick(6, 50);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        context.random_delay(100..700).await;
        server.kill();
        slowest = slowest.max(server.restart().await);
    }
    context.random_delay(300..400).await;
    let after = workload.stop_and_collect().await;
    let mut report = Report::of("kill9");
    report.figure("kills", kills).never("torn", torn(&server));
    after.report(&mut report).await;
    report.measurement("gap_s", after.history.gap().as_secs_f64()).within(
        "restart_to_ready_s",
        slowest.as_secs_f64(),
        1.0,
        5.0,
    );
    report
}

/// A file that may not grow any more, which is told in the middle of a write.
async fn limit(context: &RunContext) -> Report {
    let installation = Installation::new().await;
    let folder = installation.folder().join("data");
    // Without the signal, which would end the process.
    let under = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let plan = installation.plan(&format!("file:{}", folder.display())).under(&under);
    let scene = Scene::of(installation, plan.start().await, context).await;
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
    let installation = Installation::new().await;
    let under = ["sh", "-c", "exec \"$0\" \"$@\" 2>/dev/full"];
    let server = installation.plan("memory:").under(&under).start().await;
    let servers = [Arc::clone(&server)];
    let families = workload::new_families(&installation, &servers, 20).await;
    let settled = check_families(&families, &servers).await;
    let mut report = Report::of("log_full");
    report.never("lost", settled.lost).must("alive", server.exit_code().is_none());
    server.signal(Signal::TERM);
    let ended = server.wait_for_exit(SOON).await;
    report.must("exit_0", ended.is_some_and(|(code, _)| code == 0));
    report
}

async fn full_disk(context: &RunContext, disk: &Disk) -> Report {
    let scene = Scene::on(disk, "full", context).await;
    scene.outlives("disk_full", || disk.fill(), || disk.free_space()).await
}

/// A disk that may not be written to: neither a store that is there nor a new one is begun with, and what
/// is there is whole when it may be again.
async fn read_only(context: &RunContext, disk: &Disk) -> Report {
    let scene = Scene::on(disk, "read-only", context).await;
    let servers = [Arc::clone(&scene.server)];
    scene.server.kill();
    disk.set_writable(false);
    let mut report = Report::of("read_only");
    let (installation, at) = (Installation::new().await, disk.at().display());
    for (case, name) in [("refused", "/read-only"), ("refused_new", "/new")] {
        let refusal = StartupFailure::of(installation.plan(&format!("file:{at}{name}"))).await;
        let refused = refusal.matches(69, name);
        report.must(case, refused);
        if !refused {
            report.figure("came", format!("{refusal:?}"));
        }
    }
    disk.set_writable(true);
    scene.server.restart().await;
    let settled = check_families(&scene.families, &servers).await;
    report.never("lost", settled.lost).never("torn", torn(&scene.server));
    report
}

/// A server with some families, on a store that is about to be hurt.
struct Scene {
    _house: Installation,
    server: Arc<Server>,
    families: Vec<Family>,
}

impl Scene {
    async fn on(disk: &Disk, name: &str, context: &RunContext) -> Self {
        let installation = Installation::new().await;
        let server =
            installation.start_server(&format!("file:{}/{name}", disk.at().display())).await;
        Self::of(installation, server, context).await
    }

    async fn of(installation: Installation, server: Arc<Server>, context: &RunContext) -> Self {
        let servers = [Arc::clone(&server)];
        let families = workload::new_families(&installation, &servers, context.pick(30, 200)).await;
        Self { _house: installation, server, families }
    }

    /// It is hurt, and healed, and killed, and started again.
    async fn outlives(mut self, case: &str, hurts: impl FnOnce(), heals: impl FnOnce()) -> Report {
        let mut report = Report::of(case);
        let server = Arc::clone(&self.server);
        self.refresh().await;
        hurts();
        let (refused, mut bad) = self.refresh().await;
        report.at_least("refused", f64::from(refused), 1.0);
        let held = &self.families[0].newest;
        let told =
            send(self.families[0].client.introspect_request(server.client(), &held.access)).await;
        report
            .must("reads", told.json()["active"] == true)
            .must("live", send(server.client().get("/live")).await.has_status(200));
        let not_ready = send(server.client().get("/ready")).await.has_status(503);
        if case == "write_fails" {
            // One small write may still find room in front of where it ends.
            report.figure("not_ready", not_ready);
        } else {
            report.must("not_ready", not_ready);
        }
        heals();
        let ready = server.wait_for_status("/ready", 200, SOON).await;
        report.must("ready_again", ready.is_some());
        let (still_refused, more_bad) = self.refresh().await;
        bad += more_bad;
        let servers = [Arc::clone(&server)];
        let settled = check_families(&self.families, &servers).await;
        server.restart().await;
        // The tokens of a moment ago get the same successors.
        let again = check_families(&self.families, &servers).await;
        report
            .never("refused_afterwards", still_refused as usize)
            .never("500", bad)
            .figure("families", self.families.len())
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
            let http = self.server.client();
            let reply = send(family.client.refresh_request(http, &family.newest.refresh)).await;
            refused += u32::from(reply.has_status(503));
            bad += usize::from(reply.has_status(500));
            if let Some(next) = Tokens::of(&reply) {
                family.previous = Some(std::mem::replace(&mut family.newest, next));
            }
        }
        (refused, bad)
    }
}

/// How often it said that its file is not whole.
fn torn(server: &Server) -> usize {
    server.log().matches("is damaged").count()
}
