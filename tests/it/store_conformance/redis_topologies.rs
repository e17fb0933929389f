//! Ways to connect to Redis: by TLS, by a Unix socket, by its sentinels, as a cluster.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use latchkey::infra::store::{RedisOptions, RedisStore, RedisTls, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::{Backend, conforms};
use crate::support::redis::{RedisServer, eventually, free_port};

/// A server by TLS, for those who show a certificate, and by a socket; with a user of its own.
struct Guarded {
    server: RedisServer,
    tls_port: u16,
    certificates: TempDir,
}

/// What the README says a user needs.
const RIGHTS: [&str; 11] = [
    "+@read",
    "+@write",
    "+@scripting",
    "+@connection",
    "-@dangerous",
    "+info",
    "+role",
    "+time",
    "+wait",
    "+cluster|slots",
    "+client|tracking",
];

impl Guarded {
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Guarded> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let certificates = tempfile::tempdir().unwrap();
        issue(certificates.path());
        let tls_port = free_port();
        let tls = tls_arguments(certificates.path(), tls_port);
        let mut args: Vec<&str> =
            tls.iter().flat_map(|(name, value)| [*name, value.as_str()]).collect();
        args.extend(["--unixsocket", "redis.sock"]);
        args.extend(["--user", "ada", "on", ">p@ss", "~test:*"]);
        args.extend(RIGHTS);
        let server = RedisServer::start_with_extra(&args);
        Self { server, tls_port, certificates }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }

    fn by_tls(&self, host: &str) -> RedisOptions {
        let client = Some((self.file("cert.pem"), self.file("key.pem")));
        RedisOptions {
            tls: RedisTls { ca_file: Some(self.file("ca.pem")), client },
            prefix: "test:".to_owned(),
            sentinel_password: Some("hunter2".to_owned().into()),
            ..RedisOptions::new(format!("rediss://ada:p%40ss@{host}:{}/0", self.tls_port))
        }
    }
}

/// By TLS, for those who show a certificate of the same authority.
fn tls_arguments(certificates: &Path, port: u16) -> [(&'static str, String); 6] {
    let file = |name: &str| certificates.join(name).to_str().unwrap().to_owned();
    [
        ("--tls-port", port.to_string()),
        ("--tls-auth-clients", "yes".to_owned()),
        ("--tls-ca-cert-file", file("ca.pem")),
        ("--tls-cert-file", file("cert.pem")),
        ("--tls-key-file", file("key.pem")),
        ("--tls-replication", "yes".to_owned()),
    ]
}

/// An authority, and a certificate of its for this machine, which does for both sides.
fn issue(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // With the usual name of both, each would seem to have signed itself.
    authority.distinguished_name.push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_by_tls_conforms() {
    let redis = Guarded::shared();
    let on = Backend::on(redis.by_tls("localhost"), |words| redis.server.command(words)).await;
    conforms(&on).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_by_a_socket_conforms() {
    let redis = Guarded::shared();
    let socket = redis.server.folder().join("redis.sock");
    let url = format!("redis+unix://{}?user=ada&pass=p%40ss", socket.display());
    let on = Backend::on(RedisOptions::new(url), |words| redis.server.command(words)).await;
    conforms(&on).await;
}

#[tokio::test]
async fn by_tls_both_sides_must_be_who_they_say_they_are() {
    let redis = Guarded::shared();
    let good = redis.by_tls("127.0.0.1");
    RedisStore::connect(&good).await.expect("an address is a name, too").ping().await.unwrap();

    let stranger = RedisTls { ca_file: None, ..good.tls.clone() };
    let nobody = RedisTls { client: None, ..good.tls.clone() };
    let nowhere = RedisTls { ca_file: Some("/nowhere/ca.pem".into()), ..good.tls.clone() };
    let swapped = (redis.file("key.pem"), redis.file("cert.pem"));
    let muddled = RedisTls { client: Some(swapped), ..good.tls.clone() };
    for (tls, complaint) in [
        (stranger, "UnknownIssuer"),
        (nobody, "cannot be reached"),
        (nowhere, "REDIS_CA_FILE"),
        (muddled, "REDIS_CERT_FILE"),
    ] {
        let options = RedisOptions { tls, ..good.clone() };
        let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
        assert!(refusal.contains(complaint) && !refusal.contains("p@ss"), "{refusal}");
    }
}

#[tokio::test]
async fn a_prefix_that_the_user_may_not_use_shows_at_start() {
    let redis = Guarded::shared();
    let options = RedisOptions { prefix: "other:".to_owned(), ..redis.by_tls("localhost") };
    let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
    assert!(refusal.contains("NOPERM"), "{refusal}");
}

#[tokio::test]
async fn sentinels_by_tls_with_a_password_lead_to_a_primary_by_tls() {
    let redis = Guarded::shared();
    let port = free_port();
    let tls = tls_arguments(redis.certificates.path(), port);
    let mut configuration: Vec<_> =
        tls.iter().map(|(name, value)| format!("{} {value}", &name[2..])).collect();
    configuration.push("requirepass hunter2".to_owned());
    configuration.push(format!("sentinel monitor main 127.0.0.1 {} 1", redis.tls_port));
    let _sentinel = RedisServer::sentinel(configuration.join("\n") + "\n");

    let url = format!("rediss-sentinel://ada:p%40ss@127.0.0.1:{port}/main");
    let good =
        RedisOptions { url: url.into(), min_replicas_ack: Some(0), ..redis.by_tls("127.0.0.1") };
    RedisStore::connect(&good).await.expect("a fit redis").ping().await.unwrap();

    let unnamed = RedisOptions { url: good.url.replace("/main", "/other").into(), ..good.clone() };
    let unknown = RedisOptions { sentinel_password: None, ..good };
    for (options, complaint) in [(unnamed, "no service of that name"), (unknown, "NOAUTH")] {
        let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
        assert!(refusal.contains(complaint) && !refusal.contains("hunter2"), "{refusal}");
    }
}

#[tokio::test]
async fn a_cluster_by_tls_is_found_by_its_tls_addresses() {
    let certificates = tempfile::tempdir().unwrap();
    issue(certificates.path());
    let (port, bus) = (free_port(), free_port().to_string());
    let tls = tls_arguments(certificates.path(), port);
    let mut args: Vec<&str> =
        tls.iter().flat_map(|(name, value)| [*name, value.as_str()]).collect();
    args.extend(["--cluster-enabled", "yes", "--cluster-port", &bus, "--tls-cluster", "yes"]);
    args.extend(["--cluster-announce-ip", "127.0.0.1"]);
    let node = RedisServer::start_with_extra(&args);
    let file = |name: &str| certificates.path().join(name);
    let options = RedisOptions {
        tls: RedisTls {
            ca_file: Some(file("ca.pem")),
            client: Some((file("cert.pem"), file("key.pem"))),
        },
        ..RedisOptions::new(format!("rediss-cluster://localhost:{port}"))
    };
    let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
    assert!(refusal.contains("cannot be reached"), "without slots: {refusal}");

    node.command(&[b"CLUSTER", b"ADDSLOTSRANGE", b"0", b"16383"]);
    let well = || node.command(&[b"CLUSTER", b"INFO"]).contains("cluster_state:ok");
    assert!(eventually(well), "the cluster does not form");
    RedisStore::connect(&options).await.expect("a fit cluster").ping().await.unwrap();

    let alone = RedisOptions { url: format!("rediss://localhost:{port}").into(), ..options };
    let refusal = RedisStore::connect(&alone).await.err().expect("a refusal").to_string();
    assert!(refusal.contains("redis-cluster://"), "{refusal}");
}
