#!/usr/bin/env bash
# A cookie set with Max-Age comes back from a Java client as an RFC 2965 cookie, value in quotes.
#
# Guess:   java.net.CookieManager keeps sid=abc and sends "Cookie: sid=abc", as for a cookie without
#          Max-Age, or with Expires.
# Really:  a Set-Cookie with Max-Age and no Expires is taken for a "version 1" cookie, and the header says
#          $Version="1"; sid="abc";$Path="/";$Domain="localhost.local". With Expires beside Max-Age, or
#          Expires alone, it is plain. Readers differ: Go, Werkzeug, Starlette and npm's
#          cookie 0.7 (Express) take the quotes off, cookie 2.0 hands them on with the value; and all
#          of them report $Version, $Path and $Domain as cookies of those names.
# Versions: JDK 17, Go 1.26, Werkzeug 3.1.9, Starlette 1.10.0, cookie 0.7.2 and 2.0.2 (npm).
# Meaning: a session id or a signed value that is looked up with its quotes is "no session", and only for
#          integration tests and robots in Java, and only where the cookie has a lifetime. A server sends Expires beside Max-Age, which costs 40 bytes
#          (browsers prefer Max-Age anyway), or takes one pair of quotes off what it reads (RFC 6265 section 4.1.1
#          allows them around a value).
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install Werkzeug==3.1.9 starlette==1.10.0
npm init -y >/dev/null; npm install --no-audit --no-fund --silent cookie@2.0.2 cookie07@npm:cookie@0.7.2

cat > Client.java <<'X'
import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.net.http.*;
class Client {
    public static void main(String[] args) throws Exception {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        var set = new String[1];
        server.createContext("/", exchange -> {
            if (exchange.getRequestURI().getPath().equals("/set")) exchange.getResponseHeaders().add("Set-Cookie", set[0]);
            byte[] heard = String.valueOf(exchange.getRequestHeaders().getFirst("Cookie")).getBytes();
            exchange.sendResponseHeaders(200, heard.length);
            exchange.getResponseBody().write(heard);
            exchange.close();
        });
        server.start();
        for (String attributes : new String[] {"", "; Max-Age=600", "; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
                "; Max-Age=600; Expires=Fri, 01 Jan 2100 00:00:00 GMT"}) {
            set[0] = "sid=abc; Path=/" + attributes + "; HttpOnly; SameSite=Lax";
            var client = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
            var base = "http://localhost:" + server.getAddress().getPort();
            client.send(HttpRequest.newBuilder(new URI(base + "/set")).build(), HttpResponse.BodyHandlers.ofString());
            System.out.println(set[0] + "\n   " + client.send(HttpRequest.newBuilder(new URI(base + "/")).build(),
                HttpResponse.BodyHandlers.ofString()).body());
        }
        server.stop(0);
    }
}
X
cat > main.go <<'X'
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	r := http.Request{Header: http.Header{"Cookie": {os.Args[1]}}}
	fmt.Print("Go:")
	for _, c := range r.Cookies() {
		fmt.Printf(" %s=%s", c.Name, c.Value)
	}
	fmt.Println()
}
X
cat > read.py <<'X'
import sys
from starlette.requests import cookie_parser
from werkzeug.http import parse_cookie
for name, read in (("Werkzeug", parse_cookie), ("Starlette", cookie_parser)):
    print(name + ":", *(f"{k}={v}" for k, v in read(sys.argv[1]).items()))
X
java -version 2>&1 | head -1; go version
java Client.java | tee sent
quoted=$(sed -n 4p sent | sed 's/^ *//')
{ go run main.go "$quoted"; venv/bin/python read.py "$quoted"
  node -e 'for (const name of ["cookie", "cookie07"]) {
    const c = require(name), read = (c.parseCookie ?? c.parse)(process.argv[1]);
    console.log(`npm cookie ${require("./node_modules/" + name + "/package.json").version}:`, ...Object.entries(read).map((p) => p.join("=")));
  }' "$quoted"; } | tee read
diff - sent <<'X' || { echo "CHANGED"; exit 1; }
sid=abc; Path=/; HttpOnly; SameSite=Lax
   sid=abc
sid=abc; Path=/; Max-Age=600; HttpOnly; SameSite=Lax
   $Version="1"; sid="abc";$Path="/";$Domain="localhost.local"
sid=abc; Path=/; Expires=Fri, 01 Jan 2100 00:00:00 GMT; HttpOnly; SameSite=Lax
   sid=abc
sid=abc; Path=/; Max-Age=600; Expires=Fri, 01 Jan 2100 00:00:00 GMT; HttpOnly; SameSite=Lax
   sid=abc
X
diff - read <<'X' || { echo "CHANGED"; exit 1; }
Go: $Version=1 sid=abc $Path=/ $Domain=localhost.local
Werkzeug: $Version=1 sid=abc $Path=/ $Domain=localhost.local
Starlette: $Version=1 sid=abc $Path=/ $Domain=localhost.local
npm cookie 2.0.2: $Version="1" sid="abc" $Path="/" $Domain="localhost.local"
npm cookie 0.7.2: $Version=1 sid=abc $Path=/ $Domain=localhost.local
X
echo "as described"
