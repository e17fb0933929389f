#!/usr/bin/env bash
# "Referrer-Policy: no-referrer" on a sign-in page turns the Origin of its own form into "null".
#
# Guess:   Referrer-Policy governs the Referer header. Origin, by which CSRF checks go, is another
#          header and stays what it is, at least for a form that posts to its own server.
# Really:  with no-referrer Chromium sends "Origin: null" with every form POST, to the same origin too
#          (Sec-Fetch-Site still says same-origin), as the Fetch standard has it. Django refuses its own
#          form with its own valid token: "Origin checking failed - null". No entry in
#          CSRF_TRUSTED_ORIGINS can name it: an entry needs a scheme. It is the same for a form_post
#          response that comes from a provider whose pages have the policy. same-origin, which leaks
#          as little to others, keeps the header for one's own forms, and not for others' either.
#          helmet sets no-referrer unless told otherwise.
# Versions: Chromium (Debian's, printed below), Django 5.2.19, helmet 8.3.0.
# Meaning: whoever hardens a sign-in page as the guides say (no-referrer keeps codes out of Referer) and
#          checks Origin as the guides say locks people out, in browsers only, never in tests by curl.
#          Take "same-origin", or let "null" pass where Sec-Fetch-Site says same-origin. A relying party
#          that takes form_post exempts that one path from the Origin check: state is what guards it.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
command -v chromium >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends chromium >/dev/null; }
python3 -m venv venv; venv/bin/pip -q install Django==5.2.19
npm init -y >/dev/null; npm install --no-audit --no-fund --silent helmet@8.3.0

cat > site.py <<'X'
import socketserver, sys, types, wsgiref.simple_server
from django.conf import settings
settings.configure(SECRET_KEY="only for this run", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", USE_TZ=True,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"], CSRF_TRUSTED_ORIGINS=["http://localhost"],
    CSRF_FAILURE_VIEW="urls.refused")
import django
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.urls import path
urls = types.ModuleType("urls"); sys.modules["urls"] = urls
def say(request, verdict):
    return HttpResponse(f"<p>SAID {request.path} Origin: {request.headers.get('Origin')}, "
        f"Sec-Fetch-Site: {request.headers.get('Sec-Fetch-Site')}, {verdict}</p>")
def form(request, policy, target):
    if request.method == "POST": return say(request, "accepted")
    action = request.path if target == "own" else f"http://127.0.0.1:{request.get_port()}{request.path}"
    page = HttpResponse(f"<form method=post action='{action}'><input type=hidden name=csrfmiddlewaretoken "
        f"value='{get_token(request)}'></form><script>document.forms[0].submit()</script>")
    page["Referrer-Policy"] = policy
    return page
urls.refused = lambda request, reason="": say(request, reason)
urls.urlpatterns = [path("<policy>/<target>", form)]
django.setup()
class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer): daemon_threads = True
class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_): pass
with wsgiref.simple_server.make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet) as server:
    open("port", "w").write(str(server.server_port)); server.serve_forever()
X
venv/bin/python site.py 2>/dev/null & server=$!
until [ -s port ]; do sleep 0.1; done

visit() { # host, path
  timeout 90 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --virtual-time-budget=5000 \
    --dump-dom "http://$1:$(cat port)/$2" 2>/dev/null | grep -o 'SAID [^<]*' | sed "s/127.0.0.1:$(cat port)/SITE/g; s/localhost:$(cat port)/OTHER/g; s/&[a-z]*;//g"
}
chromium --version 2>/dev/null
node -e 'const head = {}; require("helmet")()({}, { setHeader: (k, v) => head[k] = v, removeHeader() {} }, () => {});
  console.log("helmet, untold: Referrer-Policy:", head["Referrer-Policy"])' | tee said
for policy in no-referrer same-origin strict-origin-when-cross-origin; do visit 127.0.0.1 $policy/own; done | tee -a said
for policy in no-referrer same-origin strict-origin-when-cross-origin; do visit localhost $policy/form_post; done | sed 's/, Origin checking failed.*//; s/, CSRF cookie.*//; s/, accepted//' | tee -a said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
helmet, untold: Referrer-Policy: no-referrer
SAID /no-referrer/own Origin: null, Sec-Fetch-Site: same-origin, Origin checking failed - null does not match any trusted origins.
SAID /same-origin/own Origin: http://SITE, Sec-Fetch-Site: same-origin, accepted
SAID /strict-origin-when-cross-origin/own Origin: http://SITE, Sec-Fetch-Site: same-origin, accepted
SAID /no-referrer/form_post Origin: null, Sec-Fetch-Site: cross-site
SAID /same-origin/form_post Origin: null, Sec-Fetch-Site: cross-site
SAID /strict-origin-when-cross-origin/form_post Origin: http://OTHER, Sec-Fetch-Site: cross-site
X
echo "as described"
