//! F04: sixty-four copies of one form, one code, one assertion at the same moment, on two servers.
//!
//! Of the eight kinds of one-time things in the table four are there to be tried: the login form and the
//! consent form (one code comes of all the copies), the code itself, and the `jti` of a client's assertion.
//! What confirms a sign-out may be sent as often as one likes, so there it is only that nothing breaks
//! and that the session is over. There are no one-time passwords, reset links, device codes, pushed
//! requests or DPoP proofs here yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use latchkey::infra::secret::{Secret, base64url};
use serde_json::{Value, json};

use crate::burst::at_once;
use crate::client::{Browser, ConfidentialClient, SCOPE, Tokens};
use crate::context::RunContext;
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::installation::{Installation, PASSWORD, username};
use crate::parts::redis::RedisServer;
use crate::report::Report;

const HANDS: usize = 64;

/// `double_*=0` and one success each.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let asker =
        Arc::new(ConfidentialClient { id: "asker".to_owned(), ..ConfidentialClient::new(99) });
    let more = format!("\n{}{}", asking(&asker), robot(&key));
    let installation = Installation::with_bootstrap(&more).await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(installation.plan(&redis.url()).set("HASH_QUEUE", "256").start().await);
    }
    // Sixty-four passwords take a while.
    let wires = [0, 1].map(|it| servers[it].new_client(Duration::from_secs(30)));
    let round = Round { installation: &installation, wires, asker, key };
    let mut report = Report::new();
    let rounds = context.pick(2, 10);
    let (mut login, mut consent, mut code) = (Sum::default(), Sum::default(), Sum::default());
    let (mut jti, mut logout) = (Sum::default(), Sum::default());
    for number in 0..rounds {
        login.adds(round.login(&username(number)).await);
        consent.adds(round.consent(&username(number)).await);
        code.adds(round.code(&username(number)).await);
        jti.adds(round.assertion().await);
        logout.adds(round.logout(&username(number)).await);
    }
    report.figure("rounds", rounds).figure("copies", HANDS);
    for (name, sum) in [("login", login), ("consent", consent), ("code", code), ("jti", jti)] {
        report
            .equals(&format!("one_{name}"), sum.single, rounds)
            .never(&format!("double_{name}"), sum.double)
            .never(&format!("{name}_5xx"), sum.bad);
    }
    report.equals("logout_over", logout.single, rounds).never("logout_5xx", logout.bad);
    vec![report]
}

/// What came of the copies of many rounds.
#[derive(Default)]
struct Sum {
    single: usize,
    double: usize,
    bad: usize,
}

impl Sum {
    fn adds(&mut self, (won, bad): (usize, usize)) {
        self.single += usize::from(won == 1);
        self.double += usize::from(won > 1);
        self.bad += bad;
    }
}

struct Round<'a> {
    installation: &'a Installation,
    wires: [HttpClient; 2],
    asker: Arc<ConfidentialClient>,
    key: EcdsaKeyPair,
}

/// How many succeeded, and how many answers were none or a 5xx.
type Came = (usize, usize);

impl Round<'_> {
    fn http(&self, hand: usize) -> HttpClient {
        self.wires[hand % 2].clone()
    }

    /// The same name and password from so many windows, and on to where that leads.
    async fn login(&self, name: &str) -> Came {
        let browser = Browser::new(name);
        let (url, _) = self.installation.client(0).authorization_url("openid", &[]);
        let page = browser.open(&self.http(0), &url).await;
        let replies = at_once(HANDS, |hand| {
            let (window, page, http) = (browser.new_window(), page.clone(), self.http(hand));
            async move { window.submit_login(&http, &page, PASSWORD).await }
        })
        .await;
        let (won, bad) = codes(&replies);
        // Who waits for three seconds to have a password hashed is told to come back.
        let busy = replies
            .iter()
            .filter(|reply| reply.has_status(503) && reply.has_element("#login-submit"));
        (won, bad - busy.count())
    }

    /// The same yes.
    async fn consent(&self, name: &str) -> Came {
        let browser = Browser::new(name);
        let (url, _) = self.asker.authorization_url("openid profile", &[("prompt", "consent")]);
        let login = browser.open(&self.http(0), &url).await;
        let page = browser.submit_login(&self.http(1), &login, PASSWORD).await;
        let replies = at_once(HANDS, |hand| {
            let (window, page, http) = (browser.new_window(), page.clone(), self.http(hand));
            async move {
                let yes = [("decision", "accept")];
                let sent =
                    window.post_form(&http, &page, "#consent-accept", "/consent", &yes).await;
                window.follow_redirects(&http, sent).await
            }
        });
        codes(&replies.await)
    }

    async fn code(&self, name: &str) -> Came {
        let shop = self.installation.client(0);
        let browser = Browser::sign_in(&self.http(0), shop, name).await.expect("signed in");
        let code = browser.code_for(&self.http(0), shop, SCOPE).await.expect("a code");
        let replies =
            at_once(HANDS, |hand| send(shop.redeem_request(&self.http(hand), &code))).await;
        let won = replies.iter().filter(|reply| Tokens::of(reply).is_some()).count();
        (won, bad(&replies))
    }

    async fn assertion(&self) -> Came {
        let assertion = self.signed(&self.claims());
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &*assertion),
        ];
        let replies = at_once(HANDS, |hand| send(self.http(hand).form("/token", &fields))).await;
        let won = replies.iter().filter(|reply| reply.has_status(200)).count();
        (won, bad(&replies))
    }

    /// One if the session is over.
    async fn logout(&self, name: &str) -> Came {
        let shop = self.installation.client(0);
        let browser = Browser::sign_in(&self.http(0), shop, name).await.expect("signed in");
        let page = browser.open(&self.http(0), "/logout").await;
        let replies = at_once(HANDS, |hand| {
            let (window, page, http) = (browser.new_window(), page.clone(), self.http(hand));
            async move {
                window.post_form(&http, &page, "#logout-confirm", "/logout/confirm", &[]).await
            }
        })
        .await;
        let over = browser.code(&self.http(1), shop).await.is_err();
        (usize::from(over), bad(&replies))
    }

    fn claims(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        json!({
            "iss": "robot", "sub": "robot", "aud": self.installation.issuer(),
            "jti": Secret::random().reveal(), "iat": now, "exp": now + 60,
        })
    }

    fn signed(&self, claims: &Value) -> String {
        let piece = |json: &Value| base64url(json.to_string().as_bytes());
        let text = format!("{}.{}", piece(&json!({"alg": "ES256", "kid": "ec"})), piece(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
        format!("{text}.{}", base64url(signature.as_ref()))
    }
}

/// How many codes there are: who presses twice is told the same once more, which makes no second one.
fn codes(replies: &[HttpOutcome]) -> Came {
    let told: BTreeSet<_> =
        replies.iter().filter_map(|reply| reply.redirect_param("code")).collect();
    (told.len(), bad(replies))
}

fn bad(replies: &[HttpOutcome]) -> usize {
    replies.iter().filter(|reply| reply.is_inconclusive()).count()
}

/// An application that is not the operator's own, so people are asked.
fn asking(shop: &ConfidentialClient) -> String {
    format!(
        "[[clients]]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nredirect_uris = [\"{}\"]\n\
         scope = \"openid profile\"\n",
        shop.id, shop.secret, shop.redirect_uri
    )
}

/// One that signs what it says.
fn robot(key: &EcdsaKeyPair) -> String {
    // 0x04, then both coordinates.
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = (base64url(&point[..32]), base64url(&point[32..]));
    format!(
        "[[clients]]\nclient_id = \"robot\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\n\
         grant_types = [\"client_credentials\"]\nresponse_types = []\nscope = \"reports\"\n\
         jwks = {{ keys = [{{ kty = \"EC\", crv = \"P-256\", kid = \"ec\", use = \"sig\", \
         x = \"{x}\", y = \"{y}\" }}] }}\n"
    )
}
