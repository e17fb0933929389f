//! The faults. Each is one habit of servers that are wrong, and says which checks notice.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::intercepting_proxy::{Fault, ProxiedRequest, ProxiedResponse};

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// What the others are made from: nothing is wrong with it.
const NONE: Fault = Fault {
    what: "nothing",
    person: false,
    ask: |_| {},
    tell: |_, _| {},
    fails: &[],
    warns: &[],
    alone: false,
};

#[rustfmt::skip]
pub const FAULTS: &[&Fault] = &[
    &Fault { what: "no discovery document", tell: |asked, told| {
        if asked.is(DISCOVERY) { told.status = 500; }
    }, fails: &["discovery.document"], alone: true, ..NONE },

    &Fault { what: "metadata full of mistakes", tell: wrong_metadata, fails: &[
        "discovery.issuer", "discovery.issuer-url", "discovery.required-members", "discovery.types",
        "discovery.endpoints", "discovery.signing-algorithms", "discovery.subject-types",
        "discovery.scopes", "discovery.response-types", "discovery.client-authentication",
        "discovery.pkce", "discovery.locales", "discovery.oauth-metadata", "discovery.cors",
        "discovery.wrong-method",
    ], warns: &[
        "discovery.recommended-members", "discovery.unknown-members", "discovery.repetitions",
        "discovery.nosniff",
    ], ..NONE },

    &Fault { what: "another issuer, and nothing else", tell: |asked, told| {
        if asked.path.starts_with("/.well-known/o") {
            told.edit(|it| it["issuer"] = json!("https://somebody.example"));
        }
    }, fails: &["discovery.issuer", "authorize.prompt-none"], ..NONE },

    &Fault { what: "no keys", tell: |asked, told| {
        if asked.is("/jwks.json") && told.status == 200 { "{\"keys\":[]}".clone_into(&mut told.body); }
    }, fails: &["jwks.document"], alone: true, ..NONE },

    &Fault { what: "keys full of mistakes", tell: |asked, told| {
        if !asked.is("/jwks.json") { return; }
        if asked.method == "POST" { told.status = 200; }
        told.without("access-control-allow-origin");
        let keys = json!([
            {"kty": "RSA", "use": "enc", "alg": "RS256", "kid": "a", "n": "AQAB", "e": "AQAB", "d": "AQAB"},
            {"kty": "oct", "kid": "a", "k": "AQAB"},
        ]);
        told.edit(|it| it["keys"] = keys);
    }, fails: &[
        "jwks.private-parts", "jwks.kids", "jwks.consistency", "jwks.strength", "jwks.usable",
        "jwks.wrong-method",
    ], warns: &["jwks.cors"], ..NONE },

    &Fault { what: "a private key, and nothing else", tell: |asked, told| {
        if asked.is("/jwks.json") && told.status == 200 { told.edit(|it| it["keys"][0]["d"] = json!("AQAB")); }
    }, fails: &["jwks.private-parts"], alone: true, ..NONE },

    &Fault { what: "registration answers 200", tell: |_, told| {
        if told.status == 201 { told.status = 200; }
    }, fails: &["registration.create"], alone: true, ..NONE },

    &Fault { what: "registration says nothing of when the secret expires", tell: |_, told| {
        if told.status == 201 {
            told.edit(|it| { it.as_object_mut().expect("an object").remove("client_secret_expires_at"); });
        }
    }, fails: &["registration.members"], alone: true, ..NONE },

    &Fault { what: "registration gives everybody the same id", tell: |_, told| {
        if told.status == 201 { told.edit(|it| it["client_id"] = json!("everybody")); }
    }, fails: &["registration.another", "registration.read"], ..NONE },

    &Fault { what: "registration takes everything, from everybody, and never lets go", tell: |asked, told| {
        if asked.path.starts_with("/register") && (400..500).contains(&told.status) {
            *told = ProxiedResponse::of(200, "application/json", "{\"client_id\":\"x\"}");
        }
        if told.status == 204 { told.status = 200; }
        // What is registered in another way than it was wished for is said to be as it was wished for.
        let wish: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        if let Some(alg) = wish.get("id_token_signed_response_alg").filter(|_| told.status == 201) {
            told.edit(|it| it["id_token_signed_response_alg"] = alg.clone());
        }
    }, fails: &[
        "registration.read-by-a-stranger", "registration.fragment", "registration.script",
        "registration.no-redirect-uri", "registration.wrong-type", "registration.http-redirect-uri",
        "registration.unoffered-algorithm", "registration.unoffered-response-type",
        "registration.unoffered-authentication", "registration.initiate-login-http",
        "registration.not-json", "registration.wrong-method", "registration.delete",
    ], ..NONE },

    &Fault { what: "an error page sends people away", tell: |asked, told| {
        if asked.is("/authorize") && (400..500).contains(&told.status) {
            let to = asked.param("redirect_uri").filter(|it| it.starts_with("https"));
            let status = told.status;
            told.goes_to(&to.unwrap_or_else(|| "https://evil.example/".into()));
            if status == 405 { told.status = 200; }
        }
    }, fails: &[
        "authorize.empty", "authorize.wrong-method", "authorize.unknown-client",
        "authorize.unregistered-redirect", "authorize.no-redirect",
    ], ..NONE },

    &Fault { what: "an open redirect, and nothing else", tell: |asked, told| {
        let evil = asked.param("redirect_uri").filter(|it| it.starts_with("https://evil.example/"));
        if let Some(evil) = evil { told.goes_to(&evil); }
    }, fails: &["authorize.unregistered-redirect"], alone: true, ..NONE },

    &Fault { what: "the way back loses the state, and the callback its query", tell: |_, told| {
        if let Some(to) = told.location() {
            told.goes_to(&to.replace("state=", "estate=").replace("kept=1", "kept=0"));
        }
    }, fails: &[
        "authorize.no-response-type", "authorize.unknown-response-type", "authorize.prompt-none",
        "authorize.prompt-none-and-login", "authorize.unknown-parameter", "authorize.post",
        "authorize.pkce-plain", "authorize.pkce-no-method", "authorize.request-object",
        "authorize.request-uri", "authorize.redirect-query",
    ], ..NONE },

    &Fault { what: "a repeated parameter is read once", ask: |asked| {
        if asked.query.matches("&scope=").count() == 2 {
            asked.query = asked.query.replacen("&scope=openid", "", 1);
        }
    }, fails: &["authorize.repeated-parameter"], alone: true, ..NONE },

    &Fault { what: "an answer without iss, with quotes in it and more than is usual", tell: |_, told| {
        if let Some(to) = told.location().filter(|it| it.contains("error=login_required")) {
            told.goes_to(&to.replace("&iss=", "&miss=%22&error_description=%22&hiss="));
        }
    }, fails: &["authorize.prompt-none", "authorize.unknown-parameter", "authorize.post"], alone: true, ..NONE },

    &Fault { what: "every refusal is a success", tell: |asked, told| {
        let pages = ["/authorize", "/register", "/login", "/consent", "/."];
        if !pages.iter().any(|it| asked.path.starts_with(it)) && (400..500).contains(&told.status) {
            told.status = 200;
        }
    }, fails: &[
        "token.wrong-method", "token.empty", "token.no-grant-type", "token.unknown-grant-type",
        "token.no-code", "token.bogus-code", "token.bogus-refresh-token", "token.repeated-parameter",
        "token.json", "token.wrong-secret", "token.wrong-secret-in-form", "token.no-secret",
        "token.unknown-client", "token.secret-in-query", "token.two-ways",
        "introspection.wrong-method", "introspection.no-client", "introspection.no-token",
        "revocation.wrong-method", "revocation.no-client", "revocation.no-token",
        "userinfo.wrong-method", "userinfo.no-token", "userinfo.bogus-token",
        "userinfo.token-in-query", "code.wrong-verifier", "code.no-verifier", "code.wrong-redirect",
        "code.another-client", "code.reuse", "refresh.another-client", "refresh.more-scope",
        "revocation.refresh-token",
    ], warns: &["userinfo.two-ways"], person: true, ..NONE },

    &Fault { what: "a server that has had enough of guesses breaks no rule", tell: |asked, told| {
        if asked.is("/token") || asked.is("/introspect") { told.status = 429; }
    }, alone: true, ..NONE },

    &Fault { what: "but one that answers nothing at all is not good", tell: |_, told| told.status = 429,
       fails: &["discovery.document"], alone: true, ..NONE },

    &Fault { what: "no WWW-Authenticate", tell: |_, told| told.without("www-authenticate"), fails: &[
        "registration.read-by-a-stranger", "token.wrong-secret", "userinfo.no-token",
        "userinfo.bogus-token",
    ], alone: true, ..NONE },

    &Fault { what: "answers that may be kept, and tokens of no type", tell: |_, told| {
        told.without("cache-control");
        told.edit(|it| if it["token_type"] == "Bearer" { it["token_type"] = json!("magic"); });
    }, fails: &["registration.create", "token.client-credentials", "sign-in.tokens", "refresh.works"],
       warns: &["sign-in.page", "token.bogus-code", "introspection.garbage"], person: true, ..NONE },

    &Fault { what: "garbage is active, and cannot be revoked", tell: |asked, told| {
        if asked.is("/introspect") { told.edit(|it| if it["active"] == false { it["active"] = json!(true); }); }
        if asked.is("/revoke") && told.status == 200 { told.status = 404; }
    }, fails: &["introspection.garbage", "revocation.garbage"], alone: true, ..NONE },

    &Fault { what: "codes without state", tell: |_, told| {
        if let Some(to) = told.location().filter(|it| it.contains("code=")) {
            told.goes_to(&to.replace("state=", "estate="));
        }
    }, fails: &["sign-in.code"], alone: true, person: true, ..NONE },

    &Fault { what: "a login page for any frame", tell: |_, told| {
        told.without("x-frame-options");
        told.without("content-security-policy");
    }, fails: &["sign-in.page"], alone: true, person: true, ..NONE },

    &Fault { what: "no ID token", tell: |asked, told| {
        if asked.is("/token") { told.edit(|it| { it.as_object_mut().map(|it| it.remove("id_token")); }); }
    }, fails: &["sign-in.tokens", "session.prompt-none"], person: true, ..NONE },

    &Fault { what: "a bad signature", tell: |asked, told| {
        if asked.is("/token") { told.edit(|it| if let Some(token) = it["id_token"].as_str() {
            let (front, _) = token.rsplit_once('.').expect("a JWT");
            it["id_token"] = format!("{front}.{}", "A".repeat(342)).into();
        }); }
    }, fails: &[
        "id-token.signature", "session.prompt-none", "session.hints", "session.id-token-hint",
        "session.max-age", "session.no-nonce", "refresh.works",
    ], person: true, ..NONE },

    &Fault { what: "an access token that looks like an ID token", tell: |asked, told| {
        if asked.is("/token") { told.edit(|it| if let Some(token) = it["access_token"].as_str() {
            let (_, rest) = token.split_once('.').expect("a JWT");
            let header = latchkey::infra::secret::base64url(br#"{"alg":"RS256","typ":"JWT"}"#);
            it["access_token"] = format!("{header}.{rest}").into();
        }); }
    }, fails: &["id-token.at-hash", "userinfo.get"], warns: &["access-token.typ"], person: true, ..NONE },

    &Fault { what: "no nonce", tell: |asked, told| {
        if asked.is("/token") { told.forge(asked, |claims| { claims.remove("nonce"); }); }
    }, fails: &["id-token.claims"], alone: true, person: true, ..NONE },

    &Fault { what: "somebody else's audience", tell: |asked, told| {
        if asked.is("/token") { told.forge(asked, |claims| { claims.insert("aud".into(), json!(["x"])); }); }
    }, fails: &["id-token.claims", "logout.works", "refresh.works"], alone: true, person: true, ..NONE },

    &Fault { what: "another hash of the access token, and more than is asked for", tell: |asked, told| {
        if asked.is("/token") { told.forge(asked, |claims| {
            claims.insert("at_hash".into(), json!("AAAAAAAAAAAAAAAAAAAAAA"));
            claims.insert("email".into(), json!("ada@ada.example"));
        }); }
    }, fails: &["id-token.at-hash"], warns: &["id-token.contents"], alone: true, person: true, ..NONE },

    &Fault { what: "a header with another key", tell: |asked, told| {
        if asked.is("/token") { told.edit(|it| if let Some(token) = it["id_token"].as_str() {
            let (_, rest) = token.split_once('.').expect("a JWT");
            let header = latchkey::infra::secret::base64url(br#"{"alg":"RS256","kid":"unknown"}"#);
            it["id_token"] = format!("{header}.{rest}").into();
        }); }
    }, fails: &["id-token.header", "id-token.signature"], person: true, ..NONE },

    &Fault { what: "userinfo about somebody else, and too much of it", tell: |asked, told| {
        if asked.is("/userinfo") && told.status == 200 { told.edit(|it| {
            it["sub"] = json!("somebody");
            it["email_verified"] = json!("true");
            it["phone_number"] = json!("+44 20 7946 0001");
        }); }
    }, fails: &[
        "userinfo.get", "userinfo.post-header", "userinfo.post-form", "userinfo.types",
        "userinfo.no-more-than-asked",
    ], alone: true, person: true, ..NONE },

    &Fault { what: "whoever is signed in is not remembered", tell: |_, told| {
        let to = told.location().filter(|it| it.contains("code="));
        if let Some(to) = to { told.goes_to(&to.replace("?code=", "?error=login_required&lost=")); }
    }, fails: &["sign-in.code"], person: true, ..NONE },

    &Fault { what: "prompt=none never works", ask: |asked| {
        if asked.query.contains("prompt=none") { asked.cookies.clear(); asked.query += "&max_age=0"; }
    }, fails: &[
        "session.prompt-none", "session.hints", "session.id-token-hint", "session.max-age",
        "session.no-nonce",
    ], person: true, ..NONE },

    &Fault { what: "no auth_time, and a nonce of the server's own", tell: |asked, told| {
        if asked.is("/token") { told.forge(asked, |claims| {
            claims.remove("auth_time");
            claims.entry("nonce").or_insert(json!("mine"));
        }); }
    }, fails: &["session.max-age", "session.no-nonce"], alone: true, person: true, ..NONE },

    &Fault { what: "nobody is ever asked again, nor answered by form", ask: |asked| {
        asked.query = asked.query.replace("&prompt=login", "").replace("&max_age=0", "")
            .replace("&response_mode=form_post", "");
    }, fails: &["session.prompt-login", "session.max-age-0", "code.form-post"], alone: true, person: true, ..NONE },

    &Fault { what: "no refresh token", tell: |asked, told| {
        if asked.is("/token") { told.edit(|it| { it.as_object_mut().map(|it| it.remove("refresh_token")); }); }
    }, warns: &["refresh.issued"], alone: true, person: true, ..NONE },

    &Fault { what: "a scope in a refresh is refused", tell: |asked, told| {
        if asked.param("refresh_token").is_some() && asked.param("scope").is_some() {
            *told = ProxiedResponse::of(400, "application/json", "{\"error\":\"invalid_scope\"}");
        }
    }, fails: &["refresh.same-scope"], person: true, ..NONE },

    &Fault { what: "nothing is active, and the first to revoke ends everything", ask: |asked| {
        if asked.is("/revoke") && asked.param("client_secret").is_some() {
            asked.noted.store(true, Ordering::SeqCst);
        }
    }, tell: |asked, told| {
        if asked.is("/introspect") { told.edit(|it| it["active"] = json!(false)); }
        if asked.is("/userinfo") && asked.noted.load(Ordering::SeqCst) { told.status = 401; }
    }, fails: &["introspection.active", "revocation.another-client"], alone: true, person: true, ..NONE },

    &Fault { what: "revocation does nothing", ask: |asked| {
        if asked.is("/revoke") && asked.param("token").is_some() {
            asked.instead = Some(ProxiedResponse::of(200, "application/json", ""));
        }
    }, fails: &["revocation.refresh-token", "revocation.introspection"], person: true, ..NONE },

    &Fault { what: "a logout that ends nothing and leads anywhere", ask: |asked| {
        if let Some(to) = asked.param("post_logout_redirect_uri").filter(|_| asked.is("/logout")) {
            let mut told = ProxiedResponse::of(303, "text/html", "");
            told.goes_to(&format!("{to}?state={}", asked.param("state").unwrap_or_default()));
            asked.instead = Some(told);
        }
    }, tell: offers_logout, fails: &["logout.works", "logout.elsewhere"], alone: true, person: true, ..NONE },
];

/// The other way round: what a logout is when it is right.
pub const GOOD_LOGOUT: Fault = Fault {
    what: "a logout",
    person: true,
    ask: |asked| {
        if !asked.is("/logout") {
            return;
        }
        let confirm = r#"<form method="post"><button id="logout-confirm">Sign out</button></form>"#;
        let mut told = ProxiedResponse::of(200, "text/html", confirm);
        let state = asked.param("state").unwrap_or_default();
        if asked.method == "POST" {
            told.goes_to(&format!("https://selftest.example/signed-out?state={state}"));
            for cookie in asked.cookies.split("; ").filter_map(|it| it.split('=').next()) {
                let gone = format!("{cookie}=; Max-Age=0; Path=/");
                told.headers.append("set-cookie", gone.parse().expect("a header"));
            }
        }
        asked.instead = Some(told);
    },
    tell: offers_logout,
    ..NONE
};

/// Endpoints on other hosts: a private address, and one without TLS.
pub const ELSEWHERE: Fault = Fault {
    what: "endpoints elsewhere",
    tell: |asked, told| {
        if asked.path.starts_with("/.well-known/o") {
            told.edit(|it| {
                it["userinfo_endpoint"] = json!("https://127.0.0.1:1/userinfo");
                it["introspection_endpoint"] = json!("http://id.example/introspect");
            });
        }
    },
    ..NONE
};

fn offers_logout(asked: &ProxiedRequest, told: &mut ProxiedResponse) {
    if asked.path.starts_with("/.well-known/o") {
        let at = format!("{}/logout", asked.app.issuer());
        told.edit(|it| it["end_session_endpoint"] = json!(at));
    }
}

fn wrong_metadata(asked: &ProxiedRequest, told: &mut ProxiedResponse) {
    if !asked.is(DISCOVERY) {
        return;
    }
    if asked.method == "POST" {
        told.status = 200;
    }
    told.without("x-content-type-options");
    told.headers.insert("access-control-allow-credentials", "true".parse().expect("a header"));
    let stranger = "https://stranger.example".parse().expect("a header");
    told.headers.insert("access-control-allow-origin", stranger);
    told.edit(|it| {
        let wrong = json!({
            "issuer": "http://somebody.example?x",
            "claims_parameter_supported": "yes",
            "favourite_colour": "green",
            "claims_supported": ["sub", "sub"],
            "revocation_endpoint": "http://somebody.example/revoke#here",
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["profile"],
            "response_types_supported": ["code id_token", "magic"],
            "grant_types_supported": ["refresh_token"],
            "introspection_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["plain"],
            "ui_locales_supported": ["not_a_tag"],
        });
        let wrong: &serde_json::Map<String, Value> = wrong.as_object().expect("an object");
        let document = it.as_object_mut().expect("an object");
        document.extend(wrong.clone());
        document.remove("subject_types_supported");
        document.remove("userinfo_endpoint");
    });
}
