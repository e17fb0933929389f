use std::collections::BTreeMap;
use std::sync::Arc;

use clap::CommandFactory;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::SecretString;
use crate::domain::clients::{self, ClientId};
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::password::PasswordHasher;
use crate::infra::store::{MemoryStore, Store};
use crate::protocol::AuthMethod;
use crate::protocol::pkce::CodeChallenge;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

pub(super) fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Clock::manual(NOW)))
}

fn parsed(line: &str) -> Command {
    let words = line.split_whitespace();
    Cli::try_parse_from(words).unwrap().command.unwrap_or(Command::Serve)
}

fn config(pairs: &[(&str, &str)]) -> Config {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_map(&pairs.collect::<BTreeMap<_, _>>()).unwrap()
}

fn operator(store: &Arc<dyn Store>) -> Operator {
    Operator::on(Arc::clone(store), NOW)
}

/// What is typed whenever a password is asked for.
const TYPED: &str = "tea with seven otters";

/// Runs a command.
pub(super) async fn run(line: &str, store: &Arc<dyn Store>) -> Result<String, CliError> {
    match parsed(line) {
        Command::Tool(ToolCommand::User(command)) => {
            let ask = || Ok(SecretString::new(TYPED));
            user::run(command, &operator(store), ask).await
        }
        Command::Tool(ToolCommand::Client(command)) => client::run(command, &operator(store)).await,
        Command::Tool(ToolCommand::Scope(command)) => scope::run(command, &operator(store)).await,
        Command::Tool(ToolCommand::Events(args)) => events::run(args, &operator(store), NOW).await,
        other => panic!("{other:?} needs no store"),
    }
}

#[test]
fn every_command_is_understood_and_no_command_serves() {
    Cli::command().debug_assert();
    for line in ["latchkey", "latchkey serve"] {
        assert!(matches!(parsed(line), Command::Serve), "{line}");
    }
    for (line, writes) in [
        ("user add ada --sub a --name A --email a@b --group g --group h --claim locale=en", true),
        ("user list --json", false),
        ("user show ada --json", false),
        ("user disable ada", true),
        ("user enable ada", true),
        ("user remove ada", true),
        ("user set-password ada", true),
        ("client add --id a --name A --redirect-uri https://a/cb --grant-type refresh_token", true),
        ("client add --auth-method none --scope openid --native --first-party", true),
        ("client add --opaque-access-tokens --audience a --resource-server-for b", true),
        ("client add --from-file a.json", true),
        ("client list --json", false),
        ("client show shop --json", false),
        ("client disable shop", true),
        ("client enable shop", true),
        ("client remove shop", true),
        ("client rotate-secret shop --keep-old-for 24h", true),
    ] {
        let found = match parsed(&format!("latchkey {line}")) {
            Command::Tool(ToolCommand::User(command)) => command.writes(),
            Command::Tool(ToolCommand::Client(command)) => command.writes(),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(found, writes, "{line}");
    }
    for line in [
        "keys generate",
        "keys jwks",
        "pkce",
        "check-config",
        "healthcheck",
        "backup --out a --with-sessions",
        "restore --in a --overwrite --dry-run",
    ] {
        assert!(matches!(parsed(&format!("latchkey {line}")), Command::Tool(_)), "{line}");
    }
}

#[test]
fn a_password_is_never_an_argument() {
    for line in ["user add ada --password x", "user add ada x", "user set-password ada x"] {
        let words = format!("latchkey {line}");
        assert!(Cli::try_parse_from(words.split_whitespace()).is_err(), "{line}");
    }
    let read = |text: &str| password::read_line(text.as_bytes()).unwrap().to_string();
    assert_eq!(read("seven otters\r\nmore"), "seven otters");
    assert_eq!(read("no end "), "no end ");
    assert!(
        password::parse_password(&read(&"x".repeat(600))).is_err(),
        "too long is refused, not cut"
    );
    for long in ["x".repeat(9_000), "\u{e9}".repeat(9_000), format!("x{}", "\u{e9}".repeat(9_000))]
    {
        let refused = password::read_line(long.as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("512 bytes"), "wherever it is cut: {refused}");
    }
    assert!(password::read_line(&b"caf\xe9\n"[..]).is_err());
    assert!(password::parse_password("short").is_err());
}

#[tokio::test]
async fn an_added_client_is_found_and_opens_with_the_printed_secret() {
    let store = store();
    let line = "latchkey client add --id shop --name Shop --redirect-uri https://shop.example/cb \
                --grant-type authorization_code --grant-type refresh_token --first-party";
    let printed = run(line, &store).await.unwrap();
    let secret = printed.strip_prefix("client_id=shop\nclient_secret=").unwrap();
    let find =
        async || clients::find(&*store, &ClientId::parse("shop").unwrap()).await.unwrap().unwrap();
    let shop = find().await;
    assert!(shop.accepts_secret(secret, NOW) && shop.settings.first_party);
    assert!(matches!(run(line, &store).await, Err(CliError::Refused(_))));

    let rotate = "latchkey client rotate-secret shop --keep-old-for 1h";
    let printed = run(rotate, &store).await.unwrap();
    let next = printed.strip_prefix("client_id=shop\nclient_secret=").unwrap();
    let hour = std::time::Duration::from_hours(1);
    let shop = find().await;
    assert!(shop.accepts_secret(secret, NOW) && shop.accepts_secret(next, NOW));
    assert!(
        !shop.accepts_secret(secret, NOW.plus(hour)) && shop.accepts_secret(next, NOW.plus(hour))
    );
    run("latchkey client rotate-secret shop", &store).await.unwrap();
    assert!(!find().await.accepts_secret(next, NOW), "the one before ends at once unless kept");

    let shown = run("latchkey client show shop --json", &store).await.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["metadata"]["client_name"], "Shop");
    assert!(!shown.to_string().contains("digest"));
    run("latchkey client disable shop", &store).await.unwrap();
    assert!(run("latchkey client list", &store).await.unwrap().ends_with("Shop  disabled"));
    run("latchkey client remove shop", &store).await.unwrap();
    let gone = run("latchkey client enable shop", &store).await.unwrap_err();
    assert_eq!((gone.code(), gone.to_string()), (1, "there is no client shop".to_owned()));
}

#[tokio::test]
async fn a_secret_that_has_to_be_readable_is_neither_made_nor_changed_here() {
    let store = store();
    let add = "latchkey client add --id shop --redirect-uri https://shop.example/cb";
    let by_mac = run(&format!("{add} --auth-method client_secret_jwt"), &store).await;
    assert!(matches!(by_mac, Err(CliError::Usage(why)) if why.contains("private_key_jwt")));
    run(add, &store).await.unwrap();
    let id = ClientId::parse("shop").unwrap();
    let registers_anew = |client: &mut clients::Client| {
        client.metadata.token_endpoint_auth_method = AuthMethod::ClientSecretJwt;
    };
    clients::update(&*store, &id, registers_anew).await.unwrap().unwrap();
    let before = clients::find(&*store, &id).await.unwrap();
    let refused = run("latchkey client rotate-secret shop", &store).await;
    assert!(matches!(refused, Err(CliError::Refused(why)) if why.contains("client_secret_jwt")));
    assert_eq!(clients::find(&*store, &id).await.unwrap(), before);
}

#[tokio::test]
async fn a_public_client_gets_no_secret_and_a_wrong_one_is_a_usage_error() {
    let store = store();
    let app = "latchkey client add --id app --auth-method none --redirect-uri https://a.example/cb";
    assert_eq!(run(app, &store).await.unwrap(), "client_id=app");
    let rotate = run("latchkey client rotate-secret app", &store).await.unwrap_err();
    assert_eq!(rotate.to_string(), "app has no secret: it authenticates by none");
    for line in
        ["--id x", "--redirect-uri https://a.example/#x", "--id é --redirect-uri https://a/"]
    {
        let error = run(&format!("latchkey client add {line}"), &store).await.unwrap_err();
        assert_eq!(error.code(), 64, "{line}: {error}");
    }
}

#[tokio::test]
async fn client_metadata_comes_from_a_file_with_options_over_it() {
    let store = store();
    let file = tempfile::NamedTempFile::new().unwrap();
    let json = r#"{"redirect_uris":["https://a.example/cb"],"client_name":"Old","scope":"openid"}"#;
    std::fs::write(file.path(), json).unwrap();
    let path = file.path().display();
    let line = format!("latchkey client add --id a --name New --from-file {path}");
    run(&line, &store).await.unwrap();
    let a = clients::find(&*store, &ClientId::parse("a").unwrap()).await.unwrap().unwrap();
    assert_eq!(a.metadata.client_name.as_deref(), Some("New"));
    assert_eq!(a.metadata.redirect_uris, ["https://a.example/cb"]);
}

#[tokio::test]
async fn a_disabled_user_stays_in_reach_of_the_command_line() {
    let store = store();
    let line = "latchkey user add Ada --sub a1 --email ada@a.example --group staff \
                --claim email_verified=true --claim department=Engines";
    assert_eq!(run(line, &store).await.unwrap(), "added Ada, sub a1");
    run("latchkey user disable ada", &store).await.unwrap();
    let shown = run("latchkey user show a1 --json", &store).await.unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["enabled"], false);
    assert_eq!(shown["claims"]["email_verified"], true);
    assert_eq!(shown["claims"]["department"], "Engines");
    assert!(!shown.to_string().contains("argon2"));

    let ada = users::find_by_username(&*store, "ADA").await.unwrap().unwrap();
    let told = run("latchkey user set-password ADA", &store).await.unwrap();
    assert_eq!(told, "set the password of Ada, ended sessions: 0, ended grants: 0");
    let stored = users::find(&*store, &ada.sub).await.unwrap().unwrap();
    assert_ne!(stored.password, ada.password);
    assert!(!stored.enabled, "a new password does not let anybody back in");
    let pool = PasswordHasher::new(1, 1);
    let turn = pool.acquire().await.unwrap();
    let typed = password::parse_password(TYPED).unwrap();
    let (verdict, _) = turn.verify(typed, stored.password.as_deref()).await.unwrap();
    assert_eq!(verdict, crate::infra::password::PasswordCheck::Correct { outdated: false });
    run("latchkey user enable ada", &store).await.unwrap();
    assert_eq!(run("latchkey user list", &store).await.unwrap(), "a1  Ada  enabled");
    let text = run("latchkey user show ada", &store).await.unwrap();
    assert!(text.contains("\nusername: Ada\n") && text.contains("claims:\n  "), "{text}");
    run("latchkey user remove ada", &store).await.unwrap();
    assert!(run("latchkey user show a1", &store).await.is_err());
}

#[tokio::test]
async fn a_user_that_cannot_be_is_refused() {
    let store = store();
    run("latchkey user add ada", &store).await.unwrap();
    assert_eq!(run("latchkey user add ADA", &store).await.unwrap_err().code(), 1);
    for line in [
        "eve --claim email_verified=maybe",
        "eve --claim sub=x",
        "eve --claim =x",
        "eve --claim name",
        "eve --sub é",
        "eve --name Eve --claim name=Eve",
        "\u{1}",
    ] {
        let error = run(&format!("latchkey user add {line}"), &store).await.unwrap_err();
        assert_eq!(error.code(), 64, "{line}: {error}");
    }
}

#[tokio::test]
async fn without_a_lasting_store_the_answer_is_what_to_do_instead() {
    for line in ["latchkey user list", "latchkey client list"] {
        let Command::Tool(tool) = parsed(line) else { panic!("{line}") };
        let error = run_boxed(tool, Ok(config(&[]))).await.unwrap_err();
        assert_eq!(error.code(), 1);
        assert!(error.to_string().contains("BOOTSTRAP_FILE"), "{error}");
    }
}

#[tokio::test]
async fn wrong_configuration_and_an_unreachable_store_have_codes_of_their_own() {
    let wrong = Config::from_map(&[("LISTEN".to_owned(), "?".to_owned())].into());
    let error = run_boxed(ToolCommand::CheckConfig, wrong.clone()).await.unwrap_err();
    assert_eq!(error.code(), 78);
    assert!(run_boxed(ToolCommand::Pkce, wrong).await.is_ok(), "this one needs no configuration");

    let closed = closed_port().await;
    let config = config(&[("REDIS_URL", &format!("redis://127.0.0.1:{closed}"))]);
    let list = ToolCommand::User(UserCommand::List { json: false });
    let error = run_boxed(list, Ok(config)).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().lines().count()), (69, 1));
}

#[tokio::test]
async fn checking_the_configuration_checks_the_declarations_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let check = || run_boxed(ToolCommand::CheckConfig, Ok(config(&[("BOOTSTRAP_FILE", &path)])));
    std::fs::write(file.path(), "[[users]]\nusername = \"ada\"\n").unwrap();
    let text = check().await.unwrap();
    assert!(text.contains("ISSUER_URL=") && text.contains("declares users: 1, clients: 0"));
    for slash in ["", "/"] {
        let issuer = config(&[]).issuer;
        let text = format!("[[resources]]\nresource = \"{}{slash}\"\n", issuer.as_str());
        std::fs::write(file.path(), text).unwrap();
        let error = check().await.unwrap_err();
        assert!(error.code() == 78 && error.to_string().contains("is the issuer"), "{error}");
    }
    std::fs::write(file.path(), "[[users]]\nusername = 1\n").unwrap();
    let error = check().await.unwrap_err();
    let expected = format!("{path} line 2: username: must be a string");
    assert_eq!((error.code(), error.to_string()), (78, expected));
}

#[test]
fn the_printed_verifier_answers_the_printed_challenge() {
    let text = pkce::print();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap()
    };
    let method = Some(value("code_challenge_method"));
    let challenge = CodeChallenge::parse(value("code_challenge"), method).unwrap();
    assert_eq!(CodeChallenge::check(Some(&challenge), Some(value("code_verifier"))), Ok(()));
}

#[tokio::test]
async fn a_key_is_made_once_and_its_public_half_printed() {
    let folder = tempfile::tempdir().unwrap();
    let keys_dir = folder.path().join("keys").display().to_string();
    let run = async |command| {
        run_boxed(ToolCommand::Keys(command), Ok(config(&[("KEYS_DIR", &keys_dir)]))).await.unwrap()
    };
    assert!(run(KeysCommand::Generate).await.starts_with("made a new"));
    assert!(run(KeysCommand::Generate).await.ends_with("already"));
    let set: Value = serde_json::from_str(&run(KeysCommand::Jwks).await).unwrap();
    assert_eq!(set["keys"][0]["kty"], "RSA");
    assert!(set["keys"][0].get("d").is_none());
}

async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A server that answers one request with a status line.
async fn server(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, port, status).await;
    });
    port
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, port: u16, status: &str) {
    let mut request = vec![0; 1024];
    let read = stream.read(&mut request).await.unwrap();
    let expected = format!("GET /health HTTP/1.1\r\nHost: localhost:{port}\r\n");
    let good = request[..read].starts_with(expected.as_bytes());
    let status = if good { status } else { "400 Bad Request" };
    stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn a_server_is_well_if_it_says_so() {
    for (status, well) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let port = server(status).await;
        let config = config(&[
            ("ISSUER_URL", &*format!("http://localhost:{port}")),
            ("LISTEN", &*format!("0.0.0.0:{port}")),
        ]);
        assert_eq!(healthcheck::run(&config).await.is_ok(), well, "{status}");
    }
    let port = closed_port().await;
    let config = config(&[("LISTEN", &*format!("127.0.0.1:{port}"))]);
    assert_eq!(healthcheck::run(&config).await.unwrap_err().code(), 1);
}

#[tokio::test]
async fn a_server_that_speaks_tls_is_asked_in_tls_whatever_name_it_has() {
    let made = rcgen::generate_simple_self_signed(["id.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(acceptor.accept(stream).await.unwrap(), port, "200 OK").await;
    });
    let config = config(&[
        ("ISSUER_URL", &*format!("https://localhost:{port}")),
        ("LISTEN", &*format!("127.0.0.1:{port}")),
        ("TLS_CERT_PATH", "cert.pem"),
        ("TLS_KEY_PATH", "key.pem"),
    ]);
    healthcheck::run(&config).await.unwrap();
}
