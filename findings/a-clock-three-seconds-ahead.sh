#!/usr/bin/env bash
# The provider's clock is three seconds ahead of the application's. Whose sign-ins fail?
#
# Guess:   nobody's. iat tells when a token was made and bars nothing (RFC 7519 section 4.1.6 asks for no
#          check); only nbf could be too early, and libraries allow some seconds for exactly this.
# Really:  PyJWT, joserfc, Authlib and Auth0's java-jwt refuse a token whose iat is ahead of their clock,
#          with no leeway; jose, jsonwebtoken, fast-jwt, jwcrypto, Nimbus and jose4j do not. nbf is refused
#          without leeway by all of these but jwcrypto and Nimbus (60 s), and golang-jwt goes with those
#          who look at nbf only.
# Versions: PyJWT 2.15.1, joserfc 1.8.0, Authlib 1.9.10, jwcrypto 1.6.1, jose 6.2.18, jsonwebtoken 9.0.3,
#          fast-jwt 6.3.6, golang-jwt v5.3.1, java-jwt 4.5.0, nimbus oauth2-oidc-sdk 11.26.1, jose4j 0.9.6.
# Meaning: a small step of one host's clock shuts out the applications in Python and lets the others in,
#          which looks like a fault of those applications. A provider leaves nbf out (nothing asks for it)
#          and keeps its clock behind rather than ahead; an application sets leeway=10 or so.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod PYTHONWARNINGS=ignore
python3 -m venv venv
venv/bin/pip -q install PyJWT==2.15.1 joserfc==1.8.0 Authlib==1.9.10 jwcrypto==1.6.1 cryptography==50.0.2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent jose@6.2.18 jsonwebtoken@9.0.3 fast-jwt@6.3.6
go mod init finding >/dev/null 2>&1; go get github.com/golang-jwt/jwt/v5@v5.3.1 2>/dev/null
cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.nimbusds</groupId><artifactId>oauth2-oidc-sdk</artifactId><version>11.26.1</version></dependency>
    <dependency><groupId>com.auth0</groupId><artifactId>java-jwt</artifactId><version>4.5.0</version></dependency>
    <dependency><groupId>org.bitbucket.b_c</groupId><artifactId>jose4j</artifactId><version>0.9.6</version></dependency>
  </dependencies>
</project>
X
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null
export KEY=0123456789abcdef0123456789abcdef

# Tokens whose iat, or nbf, is some seconds ahead; more than three for programs that take a while to start.
cat > make.py <<'X'
import base64, hashlib, hmac, json, os, sys, time
def text(raw): return base64.urlsafe_b64encode(raw).rstrip(b"=")
def make(ahead):
    now, tokens = int(time.time()), {}
    for claim in ("iat", "nbf"):
        claims = {"iss": "https://op.example", "sub": "alice", "aud": "client", "iat": now, "exp": now + 600} | {claim: now + ahead}
        signed = text(b'{"alg":"HS256"}') + b"." + text(json.dumps(claims).encode())
        tokens[claim] = (signed + b"." + text(hmac.new(os.environ["KEY"].encode(), signed, hashlib.sha256).digest())).decode()
    return tokens
if __name__ == "__main__":
    for claim, token in make(int(sys.argv[1])).items(): print(claim, token)
X
cat > verify.py <<'X'
import os
import jwt
from authlib.jose import jwt as authlib
from authlib.oidc.core import CodeIDToken
from joserfc import jwk as joserfc_jwk, jwt as joserfc
from jwcrypto import jwk, jwt as jwcrypto
from make import make, text
key = os.environ["KEY"]
def with_joserfc(token): joserfc.JWTClaimsRegistry().validate(joserfc.decode(token, joserfc_jwk.OctKey.import_key(key)).claims)
libraries = {
    "PyJWT": lambda token: jwt.decode(token, key, algorithms=["HS256"], audience="client"),
    "joserfc": with_joserfc,
    "Authlib": lambda token: authlib.decode(token, key, claims_cls=CodeIDToken).validate(),
    "jwcrypto": lambda token: jwcrypto.JWT(jwt=token, key=jwk.JWK(kty="oct", k=text(key.encode()).decode())).claims,
}
for library, verify in libraries.items():
    for claim, token in make(3).items():
        try: verify(token); said = "taken"
        except Exception as error: said = "refused"
        print(f"{library} | {claim} | {said}")
X
cat > verify.mjs <<'X'
import fs from 'node:fs';
import { createVerifier } from 'fast-jwt';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';
const key = process.env.KEY, tokens = fs.readFileSync('tokens', 'utf8').trim().split('\n').map((line) => line.split(' '));
const libraries = {
  jose: (token) => jose.jwtVerify(token, new TextEncoder().encode(key), { audience: 'client' }),
  jsonwebtoken: async (token) => jsonwebtoken.verify(token, key),
  'fast-jwt': async (token) => createVerifier({ key })(token),
};
for (const [library, verify] of Object.entries(libraries))
  for (const [claim, token] of tokens) console.log(`${library} | ${claim} | ${await verify(token).then(() => 'taken', () => 'refused')}`);
X
cat > main.go <<'X'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	text, _ := os.ReadFile("tokens")
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		claim, token, _ := strings.Cut(line, " ")
		_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return []byte(os.Getenv("KEY")), nil })
		fmt.Printf("golang-jwt | %s | %s\n", claim, map[bool]string{true: "taken", false: "refused"}[err == nil])
	}
}
X
go build -o verify main.go
cat > Verify.java <<'X'
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.id.*;
import com.nimbusds.openid.connect.sdk.validators.IDTokenValidator;
import java.nio.file.*;
import java.util.*;
import javax.crypto.spec.SecretKeySpec;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
class Verify {
    interface Library { void verify(String token) throws Exception; }
    public static void main(String[] args) throws Exception {
        String key = System.getenv("KEY");
        var libraries = new LinkedHashMap<String, Library>();
        libraries.put("Auth0", token -> com.auth0.jwt.JWT.require(com.auth0.jwt.algorithms.Algorithm.HMAC256(key)).build().verify(token));
        libraries.put("Nimbus", token -> new IDTokenValidator(new Issuer("https://op.example"), new ClientID("client"),
            JWSAlgorithm.HS256, new Secret(key)).validate(SignedJWT.parse(token), null));
        libraries.put("jose4j", token -> new JwtConsumerBuilder().setExpectedAudience("client")
            .setVerificationKey(new SecretKeySpec(key.getBytes(), "HmacSHA256")).build().process(token));
        for (var library : libraries.entrySet())
            for (String line : Files.readAllLines(Path.of("tokens"))) {
                String said = "taken";
                try { library.getValue().verify(line.split(" ")[1]); } catch (Exception error) { said = "refused"; }
                System.out.println(library.getKey() + " | " + line.split(" ")[0] + " | " + said);
            }
    }
}
X
{ venv/bin/python verify.py 2>/dev/null
  python3 make.py 20 > tokens; node verify.mjs
  python3 make.py 20 > tokens; ./verify
  python3 make.py 20 > tokens; java -cp 'lib/*' Verify.java 2>/dev/null; } > said
awk -F' [|] ' '{ if ($1 != last) printf "%s%s", (last ? "\n" : ""), $1; last = $1; printf " %s-%s", $2, $3 } END { print "" }' said | tee table | column -t
diff - table <<'X' || { echo "CHANGED"; exit 1; }
PyJWT iat-refused nbf-refused
joserfc iat-refused nbf-refused
Authlib iat-refused nbf-refused
jwcrypto iat-taken nbf-taken
jose iat-taken nbf-refused
jsonwebtoken iat-taken nbf-refused
fast-jwt iat-taken nbf-refused
golang-jwt iat-taken nbf-refused
Auth0 iat-refused nbf-refused
Nimbus iat-taken nbf-taken
jose4j iat-taken nbf-refused
X
echo "as described"
