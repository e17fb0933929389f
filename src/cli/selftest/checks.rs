//! The table of checks, in the order they are made: each builds on what the ones above found out.

use std::future::Future;
use std::pin::Pin;

use super::context::TestContext;
use super::report::CheckResult;
use super::userinfo::TokenTransport;
use super::{
    authorize, code_misuse, discovery, id_token, invalid_registrations, jwks, metadata_values,
    protected_endpoints, refresh, registration, session, sign_in, token, userinfo,
};

/// What a check does.
pub(super) enum Check {
    /// Looks at what is there.
    Reads(fn(&TestContext) -> CheckResult),
    /// Asks the server.
    Asks(for<'a> fn(&'a mut TestContext) -> Pin<Box<dyn Future<Output = CheckResult> + 'a>>),
}

macro_rules! reads {
    ($($path:ident)::+) => { Check::Reads($($path)::+) };
}
macro_rules! asks {
    ($($path:ident)::+ $(, $more:expr)*) => {
        Check::Asks(|context| Box::pin($($path)::+(context $(, $more)*)))
    };
}

const REDIRECT: &str = "invalid_redirect_uri";

/// Name and check.
#[rustfmt::skip]
pub(super) const CHECKS: &[(&str, Check)] = &[
    ("discovery.document", asks!(discovery::document)),
    ("discovery.issuer", reads!(discovery::issuer)),
    ("discovery.issuer-url", reads!(discovery::issuer_url)),
    ("discovery.required-members", reads!(discovery::required)),
    ("discovery.recommended-members", reads!(discovery::recommended)),
    ("discovery.types", reads!(metadata_values::types)),
    ("discovery.unknown-members", reads!(metadata_values::unknown)),
    ("discovery.repetitions", reads!(metadata_values::repetitions)),
    ("discovery.endpoints", reads!(discovery::endpoints)),
    ("discovery.signing-algorithms", reads!(metadata_values::signing_algorithms)),
    ("discovery.subject-types", reads!(metadata_values::subject_types)),
    ("discovery.scopes", reads!(metadata_values::scopes)),
    ("discovery.response-types", reads!(metadata_values::response_types)),
    ("discovery.client-authentication", reads!(metadata_values::client_authentication)),
    ("discovery.pkce", reads!(metadata_values::pkce)),
    ("discovery.locales", reads!(metadata_values::locales)),
    ("discovery.oauth-metadata", asks!(discovery::oauth_metadata)),
    ("discovery.cors", asks!(discovery::cors)),
    ("discovery.nosniff", reads!(discovery::nosniff)),
    ("discovery.wrong-method", asks!(discovery::wrong_method)),

    ("jwks.document", asks!(jwks::document)),
    ("jwks.private-parts", reads!(jwks::private_parts)),
    ("jwks.kids", reads!(jwks::kids)),
    ("jwks.consistency", reads!(jwks::consistency)),
    ("jwks.strength", reads!(jwks::strength)),
    ("jwks.usable", reads!(jwks::usable)),
    ("jwks.cors", asks!(jwks::cors)),
    ("jwks.wrong-method", asks!(jwks::wrong_method)),

    ("registration.create", asks!(registration::create)),
    ("registration.members", reads!(registration::members)),
    ("registration.another", asks!(registration::another)),
    ("registration.read", asks!(registration::read_back)),
    ("registration.read-by-a-stranger", asks!(registration::read_with_other_token)),
    ("registration.fragment", asks!(invalid_registrations::invalid, r#"{"redirect_uris":["https://selftest.example/cb#part"]}"#, REDIRECT)),
    ("registration.script", asks!(invalid_registrations::invalid, r#"{"redirect_uris":["javascript:alert(1)"]}"#, REDIRECT)),
    ("registration.no-redirect-uri", asks!(invalid_registrations::invalid, r#"{"redirect_uris":[]}"#, invalid_registrations::ANY)),
    ("registration.wrong-type", asks!(invalid_registrations::invalid, r#"{"redirect_uris":7}"#, invalid_registrations::ANY)),
    ("registration.initiate-login-http", asks!(invalid_registrations::invalid, r#"{"initiate_login_uri":"http://selftest.example/start"}"#, "invalid_client_metadata")),
    ("registration.unoffered-algorithm", asks!(invalid_registrations::not_offered, "id_token_signing_alg_values_supported", "ES256", r#"{"id_token_signed_response_alg":"ES256"}"#)),
    ("registration.unoffered-response-type", asks!(invalid_registrations::not_offered, "response_types_supported", "id_token", r#"{"response_types":["id_token"],"grant_types":["implicit"]}"#)),
    ("registration.unoffered-authentication", asks!(invalid_registrations::not_offered, "token_endpoint_auth_methods_supported", "client_secret_jwt", r#"{"token_endpoint_auth_method":"client_secret_jwt"}"#)),
    ("registration.http-redirect-uri", asks!(invalid_registrations::invalid, r#"{"redirect_uris":["http://selftest.example/cb"]}"#, REDIRECT)),
    ("registration.not-json", asks!(invalid_registrations::not_json)),
    ("registration.wrong-method", asks!(invalid_registrations::wrong_method)),

    ("authorize.empty", asks!(authorize::empty)),
    ("authorize.wrong-method", asks!(authorize::wrong_method)),
    ("authorize.unknown-client", asks!(authorize::unknown_client)),
    ("authorize.unregistered-redirect", asks!(authorize::unregistered_redirect)),
    ("authorize.no-redirect", asks!(authorize::no_redirect)),
    ("authorize.redirect-query", asks!(authorize::query_is_kept)),
    ("authorize.no-response-type", asks!(authorize::refused, &[("response_type", "")], &["invalid_request", "unsupported_response_type"])),
    ("authorize.unknown-response-type", asks!(authorize::refused, &[("response_type", "cookie")], &["unsupported_response_type", "invalid_request"])),
    ("authorize.repeated-parameter", asks!(authorize::repeated)),
    ("authorize.prompt-none", asks!(authorize::prompt_none, &[])),
    ("authorize.prompt-none-and-login", asks!(authorize::refused, &[("prompt", "none login")], &["invalid_request"])),
    ("authorize.unknown-parameter", asks!(authorize::prompt_none, &[("selftest", "1")])),
    ("authorize.post", asks!(authorize::by_post)),
    ("authorize.pkce-plain", asks!(authorize::pkce_plain, true)),
    ("authorize.pkce-no-method", asks!(authorize::pkce_plain, false)),
    ("authorize.request-object", asks!(authorize::request_object)),
    ("authorize.request-uri", asks!(authorize::request_uri)),

    ("token.wrong-method", asks!(token::wrong_method)),
    ("token.empty", asks!(token::empty)),
    ("token.no-grant-type", asks!(token::refused, &[("code", "x")], &["invalid_request", "unsupported_grant_type"])),
    ("token.unknown-grant-type", asks!(token::refused, &[("grant_type", "urn:selftest:unknown")], &["unsupported_grant_type"])),
    ("token.no-code", asks!(token::refused, &[("grant_type", "authorization_code")], &["invalid_request"])),
    ("token.bogus-code", asks!(token::bogus_code)),
    ("token.bogus-refresh-token", asks!(token::refused, &[("grant_type", "refresh_token"), ("refresh_token", "made-up-made-up-made-up")], &["invalid_grant", "unauthorized_client", "unsupported_grant_type"])),
    ("token.repeated-parameter", asks!(token::repeated)),
    ("token.json", asks!(token::json_body)),
    ("token.wrong-secret", asks!(token::wrong_secret)),
    ("token.wrong-secret-in-form", asks!(token::wrong_secret_in_form)),
    ("token.no-secret", asks!(token::no_secret)),
    ("token.unknown-client", asks!(token::unknown_client)),
    ("token.secret-in-query", asks!(token::secret_in_query)),
    ("token.two-ways", asks!(token::two_ways)),
    ("token.client-credentials", asks!(token::client_credentials)),

    ("introspection.wrong-method", asks!(protected_endpoints::wrong_method, "introspection_endpoint")),
    ("introspection.no-client", asks!(protected_endpoints::no_client, "introspection_endpoint")),
    ("introspection.no-token", asks!(protected_endpoints::no_token, "introspection_endpoint")),
    ("introspection.garbage", asks!(protected_endpoints::introspect_garbage)),
    ("revocation.wrong-method", asks!(protected_endpoints::wrong_method, "revocation_endpoint")),
    ("revocation.no-client", asks!(protected_endpoints::no_client, "revocation_endpoint")),
    ("revocation.no-token", asks!(protected_endpoints::no_token, "revocation_endpoint")),
    ("revocation.garbage", asks!(protected_endpoints::revoke_garbage)),
    ("userinfo.wrong-method", asks!(protected_endpoints::userinfo_wrong_method)),
    ("userinfo.no-token", asks!(protected_endpoints::userinfo_without_token)),
    ("userinfo.bogus-token", asks!(protected_endpoints::userinfo_bogus_token)),

    ("sign-in.code", asks!(sign_in::sign_in)),
    ("sign-in.page", reads!(sign_in::login_page)),
    ("sign-in.tokens", asks!(sign_in::exchange)),
    ("id-token.signature", reads!(id_token::signature)),
    ("id-token.header", reads!(id_token::header)),
    ("id-token.claims", reads!(id_token::claims)),
    ("id-token.at-hash", reads!(id_token::at_hash)),
    ("id-token.contents", reads!(id_token::contents)),
    ("access-token.typ", reads!(id_token::typ_of_access_token)),
    ("userinfo.get", asks!(userinfo::answers, TokenTransport::Get)),
    ("userinfo.post-header", asks!(userinfo::answers, TokenTransport::PostHeader)),
    ("userinfo.post-form", asks!(userinfo::answers, TokenTransport::PostBody)),
    ("userinfo.types", asks!(userinfo::types)),
    ("userinfo.no-more-than-asked", asks!(userinfo::no_more_than_asked)),
    ("userinfo.token-in-query", asks!(userinfo::token_in_query)),
    ("userinfo.two-ways", asks!(userinfo::two_ways)),

    ("session.prompt-none", asks!(session::prompt_none, &[])),
    ("session.hints", asks!(session::prompt_none, &[("login_hint", "nobody@selftest.example"), ("ui_locales", "se"), ("claims_locales", "se"), ("display", "popup"), ("acr_values", "1 2"), ("selftest", "1")])),
    ("session.id-token-hint", asks!(session::id_token_hint)),
    ("session.max-age", asks!(session::max_age)),
    ("session.no-nonce", asks!(session::no_nonce)),
    ("session.prompt-login", asks!(session::asks_again, "prompt", "login")),
    ("session.max-age-0", asks!(session::asks_again, "max_age", "0")),

    ("code.wrong-verifier", asks!(code_misuse::wrong_verifier)),
    ("code.no-verifier", asks!(code_misuse::no_verifier)),
    ("code.wrong-redirect", asks!(code_misuse::wrong_redirect)),
    ("code.another-client", asks!(code_misuse::another_client)),
    ("code.reuse", asks!(code_misuse::reuse)),
    ("code.form-post", asks!(code_misuse::form_post)),

    ("refresh.issued", reads!(refresh::issued)),
    ("refresh.another-client", asks!(refresh::by_another_client)),
    ("refresh.more-scope", asks!(refresh::more_scope)),
    ("refresh.works", asks!(refresh::works)),
    ("refresh.same-scope", asks!(refresh::same_scope)),
    ("introspection.active", asks!(refresh::introspection)),
    ("revocation.another-client", asks!(refresh::revoked_by_another)),
    ("revocation.refresh-token", asks!(refresh::revoked)),
    ("revocation.introspection", asks!(refresh::introspection_after)),
    ("logout.works", asks!(session::logout)),
    ("logout.elsewhere", asks!(session::logout_elsewhere)),

    ("registration.delete", asks!(registration::delete)),
];
