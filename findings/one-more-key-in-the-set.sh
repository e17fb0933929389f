#!/usr/bin/env bash
# Adding a key that nobody has to use breaks the verification of tokens that do not use it.
#
# Guess:   RFC 7517 section 5 says that keys of an unknown type are to be ignored, and the token names its
#          key by kid. So an EC, an encryption (X25519) or a post-quantum (AKP, RFC 9964) key beside the
#          RSA key is invisible to a client that verifies RS256.
# Really:  python-jose tries the keys in the order of the set, kid or not, and fails at the first that is
#          not RSA: the RSA key has to come first, or even an everyday EC key is too much. go-jose and
#          node-jose refuse to read the whole set, wherever the key stands; authlib.jose does for an
#          unknown kty. PyJWT, joserfc, jwcrypto, jose, jwks-rsa and go-oidc (which reads the set key by
#          key, above go-jose) are as guessed.
# Versions: python-jose 3.5.0, Authlib 1.9.10 (authlib.jose), PyJWT 2.15.1, joserfc 1.8.0, jwcrypto 1.6.1,
#          jose 6.2.18, node-jose 2.2.0, jwks-rsa 4.1.0, go-jose v4.1.9, go-oidc v3.21.0.
# Meaning: a provider that publishes its encryption key, or a first ML-DSA key "for those who can", in the
#          one jwks_uri locks out clients that sign in with RS256 today. Keep the RSA key first in the set;
#          announce a new key type as one would a change of algorithm.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod PYTHONWARNINGS=ignore

python3 -m venv venv
venv/bin/pip -q install python-jose==3.5.0 Authlib==1.9.10 PyJWT==2.15.1 joserfc==1.8.0 jwcrypto==1.6.1 cryptography==50.0.2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent jose@6.2.18 node-jose@2.2.0 jwks-rsa@4.1.0
go mod init finding >/dev/null 2>&1
go get github.com/go-jose/go-jose/v4@v4.1.9 github.com/coreos/go-oidc/v3@v3.21.0 2>/dev/null

cat > make.py <<'X'
import base64, json, time
from jwcrypto import jwk, jws
def public(key, **more): return key.export_public(as_dict=True) | more
rsa = jwk.JWK.generate(kty="RSA", size=2048, kid="rsa")
token = jws.JWS(json.dumps({"iss": "https://op.example", "sub": "alice", "aud": "client",
    "iat": int(time.time()), "exp": int(time.time()) + 600}))
token.add_signature(rsa, "RS256", json.dumps({"alg": "RS256", "kid": "rsa"}))
other = {
    "EC, sig": public(jwk.JWK.generate(kty="EC", crv="P-256", kid="ec"), use="sig", alg="ES256"),
    "X25519, enc": public(jwk.JWK.generate(kty="OKP", crv="X25519", kid="enc"), use="enc", alg="ECDH-ES"),
    # An ML-DSA-44 public key is 1312 bytes.
    "AKP, sig": {"kty": "AKP", "alg": "ML-DSA-44", "use": "sig", "kid": "pq",
        "pub": base64.urlsafe_b64encode(bytes(range(256)) * 5 + bytes(32)).rstrip(b"=").decode()},
}
rsa = public(rsa, use="sig", alg="RS256")
sets = {"RSA alone": {"keys": [rsa]}}
for name, key in other.items():
    sets[f"{name} first"] = {"keys": [key, rsa]}
    sets[f"{name} last"] = {"keys": [rsa, key]}
json.dump({"token": token.serialize(compact=True), "sets": sets}, open("in.json", "w"))
X
cat > verify.py <<'X'
import json
import jwt as pyjwt
from authlib.jose import JsonWebKey, JsonWebToken
from jose import jwt as python_jose
from joserfc import jwk as joserfc_jwk, jwt as joserfc
from jwcrypto import jwk, jwt as jwcrypto
given = json.load(open("in.json")); token = given["token"]
def by_kid(keys): return next(k for k in pyjwt.PyJWKSet.from_dict(keys).keys if k.key_id == "rsa")
libraries = {
    "python-jose": lambda keys: python_jose.decode(token, keys, algorithms=["RS256"], audience="client"),
    "authlib.jose": lambda keys: JsonWebToken(["RS256"]).decode(token, JsonWebKey.import_key_set(keys)),
    "PyJWT": lambda keys: pyjwt.decode(token, by_kid(keys), algorithms=["RS256"], audience="client"),
    "joserfc": lambda keys: joserfc.decode(token, joserfc_jwk.KeySet.import_key_set(keys), algorithms=["RS256"]),
    "jwcrypto": lambda keys: jwcrypto.JWT(jwt=token, key=jwk.JWKSet.from_json(json.dumps(keys)), algs=["RS256"]),
}
for library, verify in libraries.items():
    for name, keys in given["sets"].items():
        try: verify(keys); said = "ok"
        except Exception as error: said = f"refused {type(error).__name__}: {error}"
        print(f"{library:12} | {name:17} | {said}")
X
cat > verify.mjs <<'X'
import fs from 'node:fs';
import http from 'node:http';
import * as jose from 'jose';
import jwksRsa from 'jwks-rsa';
import nodeJose from 'node-jose';
const { token, sets } = JSON.parse(fs.readFileSync('in.json'));
let keys;
const server = http.createServer((_, answer) => answer.setHeader('content-type', 'application/json').end(JSON.stringify(keys)));
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const url = `http://127.0.0.1:${server.address().port}/`;
const libraries = {
  jose: () => jose.jwtVerify(token, jose.createRemoteJWKSet(new URL(url)), { audience: 'client' }),
  'node-jose': async () => nodeJose.JWS.createVerify(await nodeJose.JWK.asKeyStore(keys)).verify(token),
  'jwks-rsa': async () => (await jwksRsa({ jwksUri: url, cache: false }).getSigningKey('rsa')).getPublicKey(),
};
for (const [library, verify] of Object.entries(libraries))
  for (const name in sets) {
    keys = sets[name];
    const said = await verify().then(() => 'ok', (error) => `refused ${error.message}`);
    console.log(`${library.padEnd(12)} | ${name.padEnd(17)} | ${said}`);
  }
process.exit();
X
cat > main.go <<'X'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func main() {
	var given struct {
		Token string
		Sets  map[string]json.RawMessage
	}
	text, _ := os.ReadFile("in.json")
	json.Unmarshal(text, &given)
	for name, keys := range given.Sets {
		say := func(library string, err error) {
			said := "ok"
			if err != nil {
				said = "refused " + err.Error()
			}
			fmt.Printf("%-12s | %-17s | %s\n", library, name, said)
		}
		say("go-jose", func() error {
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(keys, &set); err != nil {
				return err
			}
			token, err := jwt.ParseSigned(given.Token, []jose.SignatureAlgorithm{jose.RS256})
			if err != nil {
				return err
			}
			var claims jwt.Claims
			return token.Claims(&set, &claims)
		}())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(keys) }))
		_, err := oidc.NewRemoteKeySet(context.Background(), server.URL).VerifySignature(context.Background(), given.Token)
		say("go-oidc", err)
		server.Close()
	}
}
X
venv/bin/python make.py
{ venv/bin/python verify.py; node verify.mjs; go run . | sort; } > said 2> errors || { cat errors; exit 1; }
cat said
refused() { grep "^$1 " said | grep '| refused' | cut -d'|' -f2 | sed 's/^ //; s/ *$//' | sort | paste -sd';'; }
expect() { [ "$(refused "$1")" = "$2" ] || { echo "CHANGED: $1 refuses '$(refused "$1")', not '$2'"; exit 1; }; }
[ "$(wc -l < said)" = 70 ]
expect python-jose 'AKP, sig first;EC, sig first;X25519, enc first'
expect authlib.jose 'AKP, sig first;AKP, sig last'
expect node-jose 'AKP, sig first;AKP, sig last;X25519, enc first;X25519, enc last'
expect go-jose 'AKP, sig first;AKP, sig last;X25519, enc first;X25519, enc last'
for library in PyJWT joserfc jwcrypto jose jwks-rsa go-oidc; do expect "$library" ''; done
echo "as described"
