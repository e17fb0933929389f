#!/usr/bin/env bash
# An authorization endpoint with "?tenant=a", and a request for two resources: what leaves the library.
#
# Guess:   RFC 6749 section 3.1 says an endpoint's query must be kept when parameters are added, and RFC
#          8707 says that resource may be given more than once; so both are done, or an error is raised.
# Really:  mozilla-django-oidc and httpx-oauth put a second "?" behind the first, so that the server
#          reads one parameter tenant = "a?response_type=code" and no response_type. A list of two
#          resources leaves requests-oauthlib, httpx-oauth and mozilla-django-oidc as the text of a
#          Python list, one parameter "['https://a.example', 'https://b.example']", and simple-oauth2
#          joined by a comma. x/oauth2 sends the last one only. Authlib, openid-client and oidc-client-ts
#          do both as guessed. No library raises.
# Versions: requests-oauthlib 2.0.0, Authlib 1.9.10, httpx-oauth 0.17.0, mozilla-django-oidc 5.0.2,
#          openid-client 6.9.0, oidc-client-ts 3.5.0, simple-oauth2 5.1.0, arctic 3.7.0, x/oauth2 v0.38.0.
# Meaning: a provider with tenants puts them into the path, never into the query of an endpoint; nor
#          into that of end_session_endpoint. A server that offers RFC 8707 answers "invalid_target" and shows in
#          error_description what it got, since the programmer sees two URLs in the code.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod PYTHONWARNINGS=ignore
python3 -m venv venv
venv/bin/pip -q install requests==2.34.2 requests-oauthlib==2.0.0 Authlib==1.9.10 httpx-oauth==0.17.0 mozilla-django-oidc==5.0.2 Django==5.2.19
npm init -y >/dev/null
npm install --no-audit --no-fund --silent openid-client@6.9.0 oidc-client-ts@3.5.0 simple-oauth2@5.1.0 arctic@3.7.0
go mod init finding >/dev/null 2>&1; go get golang.org/x/oauth2@v0.38.0 2>/dev/null

cat > ask.py <<'X'
import asyncio, sys, types
endpoint, back, two = "https://op.example/authorize?tenant=a", "https://rp.example/cb", ["https://a.example", "https://b.example"]
from authlib.integrations.requests_client import OAuth2Session as Authlib
from httpx_oauth.oauth2 import BaseOAuth2
from requests_oauthlib import OAuth2Session
print("requests-oauthlib", OAuth2Session("c", redirect_uri=back, scope=["openid"]).authorization_url(endpoint, resource=two)[0])
print("Authlib", Authlib("c", redirect_uri=back, scope="openid").create_authorization_url(endpoint, resource=two)[0])
print("httpx-oauth", asyncio.run(BaseOAuth2("c", "s", endpoint, "https://op.example/token").get_authorization_url(
    back, scope=["openid"], extras_params={"resource": two})))
from django.conf import settings
settings.configure(SECRET_KEY="only for this run", ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies", OIDC_OP_AUTHORIZATION_ENDPOINT=endpoint,
    OIDC_OP_TOKEN_ENDPOINT="https://op.example/token", OIDC_OP_USER_ENDPOINT="https://op.example/userinfo",
    OIDC_RP_CLIENT_ID="c", OIDC_RP_CLIENT_SECRET="s", OIDC_AUTH_REQUEST_EXTRA_PARAMS={"resource": two})
import django
urls = types.ModuleType("urls"); sys.modules["urls"] = urls
django.setup()
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.test import RequestFactory
from django.urls import path
from mozilla_django_oidc.views import OIDCAuthenticationRequestView
urls.urlpatterns = [path("cb/", lambda request: None, name="oidc_authentication_callback")]
request = RequestFactory().get("/"); request.session = SessionStore()
print("mozilla-django-oidc", OIDCAuthenticationRequestView.as_view()(request)["Location"])
X
cat > ask.mjs <<'X'
import { OAuth2Client } from 'arctic';
import { OidcClient } from 'oidc-client-ts';
import * as oc from 'openid-client';
import { AuthorizationCode } from 'simple-oauth2';
const endpoint = 'https://op.example/authorize?tenant=a', issuer = 'https://op.example', redirect_uri = 'https://rp.example/cb';
const two = ['https://a.example', 'https://b.example'];
const parameters = new URLSearchParams({ redirect_uri, scope: 'openid' });
for (const resource of two) parameters.append('resource', resource);
console.log('openid-client', oc.buildAuthorizationUrl(new oc.Configuration({ issuer, authorization_endpoint: endpoint }, 'c', 's'), parameters).href);
const stateStore = { set: async () => {}, get: async () => null, remove: async () => null, getAllKeys: async () => [] };
const ts = new OidcClient({ authority: issuer, client_id: 'c', redirect_uri, stateStore, resource: two,
  metadata: { issuer, authorization_endpoint: endpoint, token_endpoint: issuer + '/token' } });
console.log('oidc-client-ts', (await ts.createSigninRequest({})).url);
console.log('simple-oauth2', new AuthorizationCode({ client: { id: 'c', secret: 's' },
  auth: { tokenHost: issuer, authorizePath: '/authorize?tenant=a' } }).authorizeURL({ redirect_uri, scope: 'openid', resource: two }));
console.log('arctic', new OAuth2Client('c', 's', redirect_uri).createAuthorizationURL(endpoint, 'state', ['openid']).href);
X
cat > main.go <<'X'
package main

import (
	"fmt"

	"golang.org/x/oauth2"
)

func main() {
	config := oauth2.Config{ClientID: "c", RedirectURL: "https://rp.example/cb", Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: "https://op.example/authorize?tenant=a"}}
	fmt.Println("x/oauth2", config.AuthCodeURL("state",
		oauth2.SetAuthURLParam("resource", "https://a.example"), oauth2.SetAuthURLParam("resource", "https://b.example")))
}
X
{ venv/bin/python ask.py 2>/dev/null; node ask.mjs; go run .; } > urls
# What a server makes of each URL.
python3 - <<'X' | tee said
from urllib.parse import urlsplit, parse_qs
for line in open("urls"):
    library, url = line.split()
    got = parse_qs(urlsplit(url).query)
    print(library, "| tenant", got["tenant"], "| response_type", got.get("response_type", "missing"), "| resource", got.get("resource", "not tried"))
X
diff - said <<'X' || { echo "CHANGED"; exit 1; }
requests-oauthlib | tenant ['a'] | response_type ['code'] | resource ["['https://a.example', 'https://b.example']"]
Authlib | tenant ['a'] | response_type ['code'] | resource ['https://a.example', 'https://b.example']
httpx-oauth | tenant ['a?response_type=code'] | response_type missing | resource ["['https://a.example', 'https://b.example']"]
mozilla-django-oidc | tenant ['a?response_type=code'] | response_type missing | resource ["['https://a.example', 'https://b.example']"]
openid-client | tenant ['a'] | response_type ['code'] | resource ['https://a.example', 'https://b.example']
oidc-client-ts | tenant ['a'] | response_type ['code'] | resource ['https://a.example', 'https://b.example']
simple-oauth2 | tenant ['a'] | response_type ['code'] | resource ['https://a.example,https://b.example']
arctic | tenant ['a'] | response_type ['code'] | resource not tried
x/oauth2 | tenant ['a'] | response_type ['code'] | resource ['https://b.example']
X
echo "as described"
