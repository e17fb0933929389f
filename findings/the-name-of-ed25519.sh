#!/usr/bin/env bash
# RFC 9864 calls the algorithm Ed25519 and deprecates EdDSA. Who can verify which, with which JWK?
#
# Guess:   a year after the RFC the current libraries take both names, and since the key says
#          crv: Ed25519, a token that says "EdDSA" verifies against a JWK that says "alg": "Ed25519".
# Really:  of ten libraries three verify under the new name: jose, joserfc, jwcrypto.
#          Where both are known they are two algorithms: jose and joserfc find no key when token and JWK
#          use different names. A JWK with the new name is not a usable key at all to PyJWT, even for a token
#          that says EdDSA, while Authlib, go-jose and jose4j do not look. The DefaultJWTProcessor of Nimbus, which
#          has constants for both, verifies neither as it comes; jsonwebtoken (npm) neither.
# Versions: PyJWT 2.15.1, joserfc 1.8.0, Authlib 1.9.10, jwcrypto 1.6.1, jose 6.2.18, jsonwebtoken 9.0.3,
#          fast-jwt 6.3.6, go-jose v4.1.9, nimbus-jose-jwt 10.10, jose4j 0.9.6.
# Meaning: sign and publish under one and the same name, EdDSA for now. Do not follow the deprecation before
#          the clients do, and leave RS256 or ES256 the default.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod PYTHONWARNINGS=ignore
python3 -m venv venv
venv/bin/pip -q install PyJWT==2.15.1 joserfc==1.8.0 Authlib==1.9.10 jwcrypto==1.6.1 cryptography==50.0.2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent jose@6.2.18 jsonwebtoken@9.0.3 fast-jwt@6.3.6
go mod init finding >/dev/null 2>&1; go get github.com/go-jose/go-jose/v4@v4.1.9 2>/dev/null
cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.nimbusds</groupId><artifactId>nimbus-jose-jwt</artifactId><version>10.10</version></dependency>
    <dependency><groupId>org.bitbucket.b_c</groupId><artifactId>jose4j</artifactId><version>0.9.6</version></dependency>
  </dependencies>
</project>
X
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null

cat > make.py <<'X'
import base64, json, time
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
def text(raw): return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
key = Ed25519PrivateKey.generate()
jwk = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": text(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))}
claims = {"iss": "https://op.example", "sub": "alice", "aud": "client", "iat": int(time.time()), "exp": int(time.time()) + 600}
cases = []
for alg in ("EdDSA", "Ed25519"):
    signed = text(json.dumps({"alg": alg, "kid": "k"}).encode()) + "." + text(json.dumps(claims).encode())
    token = signed + "." + text(key.sign(signed.encode()))
    for said in ("EdDSA", "Ed25519", None):
        cases.append({"name": f"{alg:7} jwk {said or '-'}", "token": token, "jwk": jwk | ({"alg": said} if said else {})})
json.dump(cases, open("cases", "w"))
open("key.pem", "wb").write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
X
cat > verify.py <<'X'
import json
import jwt
from authlib.jose import JsonWebKey, JsonWebToken
from joserfc import jwk as jkey, jwt as jjwt
from jwcrypto import jwk as wkey, jwt as wjwt
both = ["EdDSA", "Ed25519"]
def pyjwt(token, keys):
    known = [a for a in both if a in jwt.algorithms.get_default_algorithms()]
    jwt.decode(token, jwt.PyJWKSet.from_dict(keys)["k"], algorithms=known, audience="client")
libraries = {
    "PyJWT": pyjwt,
    "joserfc": lambda token, keys: jjwt.decode(token, jkey.KeySet.import_key_set(keys), algorithms=both),
    "Authlib": lambda token, keys: JsonWebToken(both).decode(token, JsonWebKey.import_key_set(keys)),
    "jwcrypto": lambda token, keys: wjwt.JWT(jwt=token, key=wkey.JWKSet.from_json(json.dumps(keys)), algs=both),
}
for library, verify in libraries.items():
    for case in json.load(open("cases")):
        try: verify(case["token"], {"keys": [case["jwk"]]}); said = "ok"
        except Exception: said = "no"
        print(f"{library} | {case['name']} | {said}")
X
cat > verify.mjs <<'X'
import fs from 'node:fs';
import { createPublicKey } from 'node:crypto';
import { createVerifier } from 'fast-jwt';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';
const libraries = {
  jose: (token, jwk) => jose.jwtVerify(token, jose.createLocalJWKSet({ keys: [jwk] })),
  jsonwebtoken: async (token, jwk) => jsonwebtoken.verify(token, createPublicKey({ key: jwk, format: 'jwk' })),
  'fast-jwt': async (token, jwk) => createVerifier({ key: createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) })(token),
};
for (const [library, verify] of Object.entries(libraries))
  for (const { name, token, jwk } of JSON.parse(fs.readFileSync('cases')))
    console.log(`${library} | ${name} | ${await verify(token, jwk).then(() => 'ok', () => 'no')}`);
X
cat > main.go <<'X'
package main

import (
	"encoding/json"
	"fmt"
	"os"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func main() {
	var cases []struct {
		Name, Token string
		Jwk         json.RawMessage
	}
	text, _ := os.ReadFile("cases")
	json.Unmarshal(text, &cases)
	for _, c := range cases {
		err := func() error {
			var set jose.JSONWebKeySet
			if err := json.Unmarshal([]byte(`{"keys":[`+string(c.Jwk)+`]}`), &set); err != nil {
				return err
			}
			token, err := jwt.ParseSigned(c.Token, []jose.SignatureAlgorithm{jose.EdDSA, "Ed25519"})
			if err != nil {
				return err
			}
			var claims jwt.Claims
			return token.Claims(&set, &claims)
		}()
		fmt.Printf("go-jose | %s | %s\n", c.Name, map[bool]string{true: "ok", false: "no"}[err == nil])
	}
}
X
cat > Verify.java <<'X'
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.*;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.nio.file.*;
import java.util.*;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.resolvers.JwksVerificationKeyResolver;
class Verify {
    interface Library { void verify(String token, String keys) throws Exception; }
    public static void main(String[] args) throws Exception {
        var libraries = new LinkedHashMap<String, Library>();
        libraries.put("Nimbus", (token, keys) -> {
            var processor = new DefaultJWTProcessor<SecurityContext>();
            processor.setJWSKeySelector(new JWSVerificationKeySelector<>(Set.of(JWSAlgorithm.EdDSA, JWSAlgorithm.Ed25519),
                new ImmutableJWKSet<>(JWKSet.parse(keys))));
            processor.process(token, null);
        });
        libraries.put("jose4j", (token, keys) -> new JwtConsumerBuilder().setExpectedAudience("client")
            .setVerificationKeyResolver(new JwksVerificationKeyResolver(new org.jose4j.jwk.JsonWebKeySet(keys).getJsonWebKeys()))
            .build().process(token));
        var cases = (List<?>) org.jose4j.json.JsonUtil.parseJson("{\"c\":" + Files.readString(Path.of("cases")) + "}").get("c");
        for (var library : libraries.entrySet())
            for (Object o : cases) {
                var c = (Map<?, ?>) o;
                String said = "ok";
                try { library.getValue().verify((String) c.get("token"), "{\"keys\":[" + org.jose4j.json.JsonUtil.toJson((Map<String, ?>) c.get("jwk")) + "]}"); }
                catch (Exception error) { said = "no"; }
                System.out.println(library.getKey() + " | " + c.get("name") + " | " + said);
            }
    }
}
X
venv/bin/python make.py
{ venv/bin/python verify.py; node verify.mjs; go run .; java -cp 'lib/*' Verify.java 2>/dev/null; } > said 2>errors || { cat errors; exit 1; }
{ echo "library token-EdDSA:jwk-EdDSA jwk-Ed25519 jwk-none token-Ed25519:jwk-EdDSA jwk-Ed25519 jwk-none"
  awk -F' [|] ' '{ if ($1 != last) printf "%s%s", (last ? "\n" : ""), $1; last = $1; printf " %s", $3 } END { print "" }' said; } > table
column -t table
diff - <(tail -n +2 table) <<'X' || { echo "CHANGED"; exit 1; }
PyJWT ok no ok no no no
joserfc ok no ok no ok ok
Authlib ok ok ok no no no
jwcrypto ok ok ok ok ok ok
jose ok no ok no ok ok
jsonwebtoken no no no no no no
fast-jwt ok ok ok no no no
go-jose ok ok ok no no no
Nimbus no no no no no no
jose4j ok ok ok no no no
X
echo "as described"
