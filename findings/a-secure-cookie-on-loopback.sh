#!/usr/bin/env bash
# A Secure cookie on http://localhost: the same sign-in passes in some clients and loops in others.
#
# Guess:   either a cookie jar follows RFC 6265 and gives Secure cookies to https only, or it follows the browsers,
#          for which loopback is trustworthy; today's jars do the latter, and all treat localhost and
#          127.0.0.1 the same.
# Really:  Chromium, tough-cookie and Go's cookiejar give them back (also __Host- ones, also to 127.0.0.1);
#          requests, httpx, aiohttp and Java's CookieManager keep them and never send them. aiohttp sends to 127.0.0.1
#          no cookie at all, Secure or not. Nothing is raised: the jar has the cookie.
# Versions: requests 2.34.2, httpx 0.28.1, aiohttp 3.14.5, tough-cookie 6.1.0, Go 1.26, JDK 17,
#          Chromium (Debian's).
# Meaning: a provider that sets Secure on an http loopback issuer works in a browser and in Go, and is an endless
#          sign-in to Python and Java test suites. For development: no Secure and no __Host- on http,
#          a name in the issuer (localhost) rather than an address, or https with an own CA.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
command -v chromium >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends chromium >/dev/null; }
python3 -m venv venv; venv/bin/pip -q install requests==2.34.2 httpx==0.28.1 aiohttp==3.14.5
npm init -y >/dev/null; npm install --no-audit --no-fund --silent tough-cookie@6.1.0

cat > site.py <<'X'
import http.server
class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        heard = sorted(pair.split("=")[0] for pair in (self.headers["cookie"] or "").split("; ") if pair)
        body = ("SENT " + (" ".join(heard) or "nothing")).encode()
        self.send_response(302 if self.path == "/browser" else 200)
        if self.path != "/":
            for cookie in ("secure=1; Path=/; Secure", "__Host-sid=1; Path=/; Secure; HttpOnly", "plain=1; Path=/"):
                self.send_header("set-cookie", cookie)
        if self.path == "/browser": self.send_header("location", "/")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
open("port", "w").write(str(server.server_port)); server.serve_forever()
X
python3 site.py 2>/dev/null & server=$!
until [ -s port ]; do sleep 0.1; done
cat > ask.py <<'X'
import asyncio, sys
import aiohttp, httpx, requests
base = sys.argv[1]
s = requests.Session(); s.get(base + "/set"); print("requests:", s.get(base + "/").text)
with httpx.Client() as s: s.get(base + "/set"); print("httpx:", s.get(base + "/").text)
async def main():
    async with aiohttp.ClientSession() as s:
        await s.get(base + "/set")
        async with s.get(base + "/") as answer: print("aiohttp:", await answer.text())
asyncio.run(main())
X
cat > ask.mjs <<'X'
import { CookieJar } from 'tough-cookie';
const base = process.argv[2], jar = new CookieJar();
for (const cookie of (await fetch(base + '/set')).headers.getSetCookie()) await jar.setCookie(cookie, base + '/set');
console.log('tough-cookie:', await (await fetch(base + '/', { headers: { cookie: await jar.getCookieString(base + '/') } })).text());
X
cat > main.go <<'X'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
)

func main() {
	jar, _ := cookiejar.New(nil)
	client := http.Client{Jar: jar}
	client.Get(os.Args[1] + "/set")
	answer, _ := client.Get(os.Args[1] + "/")
	text, _ := io.ReadAll(answer.Body)
	fmt.Println("Go:", string(text))
}
X
go build -o ask main.go
cat > Ask.java <<'X'
import java.net.*;
import java.net.http.*;
class Ask {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
        client.send(HttpRequest.newBuilder(new URI(args[0] + "/set")).build(), HttpResponse.BodyHandlers.ofString());
        System.out.println("Java: " + client.send(HttpRequest.newBuilder(new URI(args[0] + "/")).build(), HttpResponse.BodyHandlers.ofString()).body());
    }
}
X
chromium --version 2>/dev/null; go version; java -version 2>&1 | head -1
for host in localhost 127.0.0.1; do
  base="http://$host:$(cat port)"; echo "$host"
  venv/bin/python ask.py "$base"; node ask.mjs "$base"; ./ask "$base"; java Ask.java "$base"
  echo "Chromium: $(timeout 90 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --dump-dom "$base/browser" 2>/dev/null | grep -o 'SENT [^<]*')"
done | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
localhost
requests: SENT plain
httpx: SENT plain
aiohttp: SENT plain
tough-cookie: SENT __Host-sid plain secure
Go: SENT __Host-sid plain secure
Java: SENT plain
Chromium: SENT __Host-sid plain secure
127.0.0.1
requests: SENT plain
httpx: SENT plain
aiohttp: SENT nothing
tough-cookie: SENT __Host-sid plain secure
Go: SENT __Host-sid plain secure
Java: SENT plain
Chromium: SENT __Host-sid plain secure
X
echo "as described"
