#!/usr/bin/env bash
# Two tabs begin to sign in; the person finishes in the one opened first.
#
# Guess:   each request has its own state and the application keeps both; or, if it keeps one, this is a
#          matter of the library and the same in all its forms.
# Really:  Authlib keeps both under Flask and only the newest under Starlette (FastAPI), where the older tab comes
#          back with a good code and a good state and is refused; passport-oauth2 and passport-openidconnect
#          refuse it too. mozilla-django-oidc, social-auth-app-django and express-openid-connect go on.
#          Under Flask the price comes later: twenty sign-ins left unfinished within the hour make the
#          session cookie longer than 4096 bytes, and browsers drop it: no tab can sign in.
# Versions: Authlib 1.9.10, Flask 3.1.3, Starlette 1.10.0, mozilla-django-oidc 5.0.2, social-auth-app-django
#          8.0.0, passport-oauth2 1.8.0, passport-openidconnect 0.1.2, express-openid-connect 3.4.0.
# Meaning: a browser that restores a window with three tabs of one application is enough. The code is issued and never
#          redeemed, and the provider's log shows a success: look for codes that expire unused. A provider's
#          page should not encourage signing in once more in a new tab, and on "try again" sends people to the
#          application's start, not to an old authorization request.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"; export PYTHONWARNINGS=ignore
python3 -m venv venv
venv/bin/pip -q install Authlib==1.9.10 requests==2.34.2 httpx==0.28.1 httpx2==2.16.2 Flask==3.1.3 starlette==1.10.0 itsdangerous==2.2.0 \
  Django==5.2.19 mozilla-django-oidc==5.0.2 social-auth-app-django==8.0.0 social-auth-core==7.0.0
npm init -y >/dev/null; npm install --no-audit --no-fund --silent express@5.3.0 express-session@1.19.0 passport@0.7.0 \
  passport-oauth2@1.8.0 passport-openidconnect@0.1.2 express-openid-connect@3.4.0

# "goes on" is: the application asks the token endpoint (which answers invalid_grant, and counts).
cat > tabs.py <<'X'
import http.server, json, os, sys, tempfile, threading, types, urllib.parse
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
hits = []
class Provider(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"])); hits.append(self.path)
        body = b'{"error":"invalid_grant"}'
        self.send_response(400); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{provider.server_port}"
register = dict(client_id="client", client_secret="s", authorize_url="https://op.example/authorize",
    access_token_url=base + "/token", client_kwargs={"scope": "openid", "code_challenge_method": "S256"})
def state(location): return urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["state"][0]
def two_tabs(name, get):
    """get(path) answers with the Location header, None if there is none; it keeps cookies."""
    said = []
    for which in (0, 1):
        states = [state(get("/login")), state(get("/login"))]
        hits.clear()
        try: get(f"/callback?code=x&state={states[which]}")
        except Exception: pass
        said.append(f"{('older', 'newer')[which]} tab {'goes on' if hits else 'is refused'}")
    print(f"{name} | {', '.join(said)}")

from authlib.integrations.flask_client import OAuth as FlaskOAuth
from flask import Flask
app = Flask("app"); app.secret_key = "only for this run"; app.testing = True
oauth = FlaskOAuth(app); oauth.register("op", **register)
app.add_url_rule("/login", "login", lambda: oauth.op.authorize_redirect("https://rp.example/callback"))
app.add_url_rule("/callback", "callback", lambda: str(oauth.op.authorize_access_token()))
client = app.test_client()
two_tabs("Authlib, Flask", lambda path: client.get(path, base_url="https://rp.example").headers.get("location"))
client, tabs = app.test_client(), 1
while len(client.get("/login", base_url="https://rp.example").headers["set-cookie"].split(";")[0]) <= 4096: tabs += 1
print(f"Authlib, Flask | the session cookie is longer than 4096 bytes at {'about twenty' if 18 <= tabs <= 24 else tabs} tabs")

from authlib.integrations.starlette_client import OAuth as StarletteOAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
oauth2 = StarletteOAuth(); oauth2.register("op", **register)
async def login(request): return await oauth2.op.authorize_redirect(request, "https://rp.example/callback")
async def callback(request): return PlainTextResponse(str(await oauth2.op.authorize_access_token(request)))
starlette = TestClient(Starlette(routes=[Route("/login", login), Route("/callback", callback)],
    middleware=[Middleware(SessionMiddleware, secret_key="only for this run")]), base_url="https://rp.example", follow_redirects=False)
two_tabs("Authlib, Starlette", lambda path: starlette.get(path).headers.get("location"))

from django.conf import settings
settings.configure(SECRET_KEY="only for this run", ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "mozilla_django_oidc", "social_django"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend", "urls.Op"], DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField", SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies", OIDC_RP_SIGN_ALGO="RS256", OIDC_OP_JWKS_ENDPOINT=base + "/jwks",
    OIDC_OP_AUTHORIZATION_ENDPOINT="https://op.example/authorize", OIDC_OP_TOKEN_ENDPOINT=base + "/token",
    OIDC_OP_USER_ENDPOINT=base + "/userinfo", OIDC_RP_CLIENT_ID="client", OIDC_RP_CLIENT_SECRET="s", LOGIN_REDIRECT_URL="/", LOGIN_REDIRECT_URL_FAILURE="/",
    SOCIAL_AUTH_OP_KEY="client", SOCIAL_AUTH_OP_SECRET="s")
import django
urls = types.ModuleType("urls"); sys.modules["urls"] = urls
from social_core.backends.oauth import BaseOAuth2
class Op(BaseOAuth2):
    name = "op"; AUTHORIZATION_URL = "https://op.example/authorize"; ACCESS_TOKEN_URL = base + "/token"; ACCESS_TOKEN_METHOD = "POST"; REDIRECT_STATE = False
urls.Op = Op
django.setup()
from django.core.management import call_command
from django.urls import include, path
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView
urls.urlpatterns = [path("login", OIDCAuthenticationRequestView.as_view()), path("callback", OIDCAuthenticationCallbackView.as_view(), name="oidc_authentication_callback"),
    path("social/", include("social_django.urls", namespace="social"))]
call_command("migrate", verbosity=0)
from django.test import Client
django_client = Client()
two_tabs("mozilla-django-oidc", lambda path: django_client.get(path, secure=True, headers={"host": "rp.example"}).headers.get("location"))
social = Client()
def social_get(path):
    how, path = (social.post, "/social/login/op/") if path == "/login" else (social.get, path.replace("/callback?", "/social/complete/op/?"))
    return how(path, secure=True, headers={"host": "rp.example"}).headers.get("location")
two_tabs("social-auth-app-django", social_get)
X
cat > tabs.mjs <<'X'
import http from 'node:http';
import { createRequire } from 'node:module';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OAuth2Strategy from 'passport-oauth2';
import OpenIDConnectStrategy from 'passport-openidconnect';
import eoc from 'express-openid-connect';
let hits = 0, issuer;
const provider = http.createServer((request, answer) => {
  answer.setHeader('content-type', 'application/json');
  if (request.method === 'POST') { hits++; answer.statusCode = 400; answer.end('{"error":"invalid_grant"}'); return; }
  answer.end(JSON.stringify({ issuer, authorization_endpoint: issuer + '/authorize', token_endpoint: issuer + '/token', jwks_uri: issuer + '/jwks',
    response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'], response_modes_supported: ['query', 'form_post'] }));
});
const listen = (server) => new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(`http://127.0.0.1:${server.address().port}`)));
issuer = await listen(provider);
const at = { authorizationURL: 'https://op.example/authorize', tokenURL: issuer + '/token', clientID: 'client', clientSecret: 's', callbackURL: 'https://rp.example/callback' };
const withPassport = (strategy) => (app) => {
  const own = new passport.Passport(); own.use('op', strategy);
  app.use(session({ secret: 'only for this run', resave: false, saveUninitialized: false }), own.initialize());
  app.get('/login', own.authenticate('op')); app.get('/callback', own.authenticate('op'));
};
const applications = {
  'passport-oauth2, state: true': withPassport(new OAuth2Strategy({ ...at, state: true, pkce: true }, () => {})),
  'passport-openidconnect': withPassport(new OpenIDConnectStrategy({ ...at, issuer, userInfoURL: issuer + '/userinfo' }, () => {})),
  'express-openid-connect': (app, base) => app.use(eoc.auth({ issuerBaseURL: issuer, baseURL: base, clientID: 'client', clientSecret: 's', secret: 'only for this run, but long enough',
    authRequired: false, authorizationParams: { response_type: 'code' } })),
};
for (const [name, build] of Object.entries(applications)) {
  const app = express(), base = await listen(http.createServer(app)), jar = new Map();
  build(app, base); app.use((error, _request, answer, _next) => answer.status(500).end(error.message));
  const get = async (path) => {
    const answer = await fetch(base + path, { redirect: 'manual', headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') } });
    for (const line of answer.headers.getSetCookie()) { const [pair] = line.split(';'), [key, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]; value ? jar.set(key, value) : jar.delete(key); }
    return answer.headers.get('location');
  };
  const said = [];
  for (const which of [0, 1]) {
    const states = [];
    for (let tab = 0; tab < 2; tab++) states.push(new URL(await get('/login')).searchParams.get('state'));
    hits = 0; await get(`/callback?code=x&state=${encodeURIComponent(states[which])}`);
    said.push(`${['older', 'newer'][which]} tab ${hits ? 'goes on' : 'is refused'}`);
  }
  console.log(`${name} | ${said.join(', ')}`);
}
process.exit();
X
{ venv/bin/python tabs.py 2>errors || { cat errors >&2; exit 1; }; node tabs.mjs 2>/dev/null; } | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
Authlib, Flask | older tab goes on, newer tab goes on
Authlib, Flask | the session cookie is longer than 4096 bytes at about twenty tabs
Authlib, Starlette | older tab is refused, newer tab goes on
mozilla-django-oidc | older tab goes on, newer tab goes on
social-auth-app-django | older tab goes on, newer tab goes on
passport-oauth2, state: true | older tab is refused, newer tab goes on
passport-openidconnect | older tab is refused, newer tab goes on
express-openid-connect | older tab goes on, newer tab goes on
X
echo "as described"
