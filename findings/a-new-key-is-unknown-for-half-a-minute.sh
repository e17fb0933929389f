#!/usr/bin/env bash
# A key published a second ago is not looked for: the token it signed is refused, for 30 seconds.
#
# Guess:   an unknown kid makes a client read the JWK Set anew, once, and then verify. So keys may be
#          rotated at any time, and a client just started is the best informed of all.
# Really:  jose and PyJWT do not read again within 30 s of the last fetch, the very first included: right
#          after a restart they refuse the new key without asking. Nimbus asks at once, but a second
#          question within 30 s raises RateLimitReachedException, for any token with an unknown kid; a
#          single token signed before its key was published uses the one question up. go-oidc and
#          jwks-rsa ask each time. Cache-Control of the answer plays no part in any of this.
# Versions: jose 6.2.18, PyJWT 2.15.1, nimbus-jose-jwt 10.4, go-oidc v3.21.0, jwks-rsa 4.1.0.
# Meaning: publish a key before it signs: longer than these 30 s and than the caches of the set (5 min in
#          PyJWT and Nimbus, 10 min in jose). Never sign on one node with a key that another node does not
#          publish yet. An emergency rotation costs sign-ins for half a minute; do not mend it by rotating
#          once more.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod

python3 -m venv venv; venv/bin/pip -q install PyJWT==2.15.1 cryptography==50.0.2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent jose@6.2.18 jwks-rsa@4.1.0
go mod init finding >/dev/null 2>&1; go get github.com/coreos/go-oidc/v3@v3.21.0 2>/dev/null
cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.nimbusds</groupId><artifactId>nimbus-jose-jwt</artifactId><version>10.4</version>
  </dependency></dependencies>
</project>
X
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null

# A provider with an old and a new key. /restart hides the new one and counts from nought, /publish shows it.
cat > provider.py <<'X'
import http.server, json, time
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
keys = {kid: rsa.generate_private_key(65537, 2048) for kid in ("old", "new")}
public = [RSAAlgorithm.to_jwk(k.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": "RS256"} for kid, k in keys.items()]
for kid, key in keys.items():
    claims = {"iss": "https://op.example", "sub": "alice", "aud": "client", "iat": int(time.time()), "exp": int(time.time()) + 600}
    open(kid, "w").write(jwt.encode(claims, key, "RS256", {"kid": kid}))
state = {"published": 1, "read": 0}
class Provider(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        answer = {}
        if self.path == "/restart": state.update(published=1, read=0)
        elif self.path == "/publish": state["published"] = 2
        elif self.path == "/read": answer = state["read"]
        else: state["read"] += 1; answer = {"keys": public[:state["published"]]}
        body = json.dumps(answer).encode()
        self.send_response(200); self.send_header("content-type", "application/json")
        self.send_header("cache-control", "max-age=1"); self.send_header("content-length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
open("port", "w").write(str(server.server_port)); server.serve_forever()
X
venv/bin/python provider.py & server=$!
until [ -s port ]; do sleep 0.1; done
export BASE="http://127.0.0.1:$(cat port)"

cat > ask.py <<'X'
import json, os, urllib.request
import jwt
base, old, new = os.environ["BASE"], open("old").read(), open("new").read()
def get(path): return json.load(urllib.request.urlopen(base + path))
for name, options in {"PyJWT 2.15.1": {}, "PyJWT, cooldown_duration=0": {"cooldown_duration": 0}}.items():
    get("/restart"); client = jwt.PyJWKClient(base + "/jwks", **options)
    client.get_signing_key_from_jwt(old); get("/publish")
    try: client.get_signing_key_from_jwt(new); said = "ok"
    except jwt.PyJWKClientError: said = "refused"
    print(f"{name}: {said}, set read {get('/read')}")
X
cat > ask.mjs <<'X'
import fs from 'node:fs';
import * as jose from 'jose';
import jwksRsa from 'jwks-rsa';
const { BASE } = process.env, get = async (path) => (await fetch(BASE + path)).json();
const [old, fresh] = ['old', 'new'].map((name) => fs.readFileSync(name, 'utf8'));
const clients = {
  'jose 6.2.18': () => { const keys = jose.createRemoteJWKSet(new URL(BASE + '/jwks')); return (token) => jose.jwtVerify(token, keys); },
  'jose, cooldownDuration: 0': () => { const keys = jose.createRemoteJWKSet(new URL(BASE + '/jwks'), { cooldownDuration: 0 }); return (token) => jose.jwtVerify(token, keys); },
  'jwks-rsa 4.1.0': () => { const keys = jwksRsa({ jwksUri: BASE + '/jwks' }); return (token) => keys.getSigningKey(jose.decodeProtectedHeader(token).kid); },
};
for (const [name, make] of Object.entries(clients)) {
  await get('/restart'); const verify = make(); await verify(old); await get('/publish');
  const said = await verify(fresh).then(() => 'ok', () => 'refused');
  console.log(`${name}: ${said}, set read ${await get('/read')}`);
}
X
cat > main.go <<'X'
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	base, ctx := os.Getenv("BASE"), context.Background()
	get := func(path string) string { r, _ := http.Get(base + path); b, _ := io.ReadAll(r.Body); return string(b) }
	old, _ := os.ReadFile("old")
	fresh, _ := os.ReadFile("new")
	get("/restart")
	keys := oidc.NewRemoteKeySet(ctx, base+"/jwks")
	if _, err := keys.VerifySignature(ctx, string(old)); err != nil {
		panic(err)
	}
	get("/publish")
	said := "ok"
	if _, err := keys.VerifySignature(ctx, string(fresh)); err != nil {
		said = "refused"
	}
	fmt.Printf("go-oidc v3.21.0: %s, set read %s\n", said, get("/read"))
}
X
cat > Ask.java <<'X'
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.*;
import com.nimbusds.jose.proc.*;
import com.nimbusds.jwt.proc.*;
import java.net.URI;
import java.nio.file.*;
class Ask {
    static String get(String path) throws Exception {
        return new String(new URI(System.getenv("BASE") + path).toURL().openStream().readAllBytes());
    }
    static String verify(DefaultJWTProcessor<SecurityContext> processor, String file) throws Exception {
        try { processor.process(Files.readString(Path.of(file)), null); return "ok"; }
        catch (RateLimitReachedException limit) { return "refused (rate limit)"; }
        catch (BadJOSEException bad) { return "refused"; }
    }
    public static void main(String[] args) throws Exception {
        for (boolean early : new boolean[] {false, true}) {
            get("/restart");
            var processor = new DefaultJWTProcessor<SecurityContext>();
            processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.RS256,
                JWKSourceBuilder.<SecurityContext>create(new URI(System.getenv("BASE") + "/jwks").toURL()).build()));
            verify(processor, "old");
            if (early) verify(processor, "new");
            get("/publish");
            System.out.println("nimbus-jose-jwt 10.4" + (early ? ", new key used before published" : "") + ": "
                + verify(processor, "new") + ", set read " + get("/read"));
        }
    }
}
X
{ venv/bin/python ask.py; node ask.mjs; go run .; java -cp 'lib/*' Ask.java; } > said
cat said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
PyJWT 2.15.1: refused, set read 1
PyJWT, cooldown_duration=0: ok, set read 2
jose 6.2.18: refused, set read 1
jose, cooldownDuration: 0: ok, set read 2
jwks-rsa 4.1.0: ok, set read 2
go-oidc v3.21.0: ok, set read 2
nimbus-jose-jwt 10.4: ok, set read 2
nimbus-jose-jwt 10.4, new key used before published: refused (rate limit), set read 2
X
echo "as described"
