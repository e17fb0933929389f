#!/usr/bin/env bash
# "alg" in a JWK is optional. Leaving it out gives the key one algorithm in some libraries, none in others.
#
# Guess:   an RSA key without "alg" verifies whatever RSA algorithm the token names and the caller allows,
#          as it may be used with any.
# Really:  PyJWT makes it an RS256 key: PS256 and RS512 tokens raise "does not match the key's algorithm",
#          though the caller listed them. python-jose finds no algorithm for the key when the token is PS256.
#          lestrrat/jwx finds "no matching keys" even for RS256, until it is told to infer. jose, joserfc,
#          jwcrypto and go-jose do as guessed.
# Versions: PyJWT 2.15.1, python-jose 3.5.0, jwx v3.4.0, jose 6.2.18, joserfc 1.8.0, jwcrypto 1.6.1, go-jose v4.1.9.
# Meaning: a provider writes "alg" into every key it publishes, one key per algorithm; a move to PS256 (FAPI)
#          with a key that had no "alg" shuts out clients that look prepared for it.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod
python3 -m venv venv; venv/bin/pip -q install PyJWT==2.15.1 python-jose==3.5.0 joserfc==1.8.0 jwcrypto==1.6.1 cryptography==50.0.2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent jose@6.2.18
go mod init finding >/dev/null 2>&1
go get github.com/lestrrat-go/jwx/v3@v3.4.0 github.com/go-jose/go-jose/v4@v4.1.9 2>/dev/null
cat > make.py <<'X'
import json, time
from jwcrypto import jwk, jws
key = jwk.JWK.generate(kty="RSA", size=2048, kid="k")
tokens = {}
for alg in ("RS256", "RS512", "PS256"):
    token = jws.JWS(json.dumps({"sub": "alice", "aud": "client", "exp": int(time.time()) + 600}))
    token.add_signature(key, alg, json.dumps({"alg": alg, "kid": "k"}))
    tokens[alg] = token.serialize(compact=True)
json.dump({"keys": {"keys": [key.export_public(as_dict=True) | {"use": "sig"}]}, "tokens": tokens}, open("in.json", "w"))
X
cat > verify.py <<'X'
import json
import jwt as pyjwt
from jose import jwt as python_jose
from joserfc import jwk as joserfc_jwk, jwt as joserfc
from jwcrypto import jwk, jwt as jwcrypto
given = json.load(open("in.json")); keys = given["keys"]; allowed = list(given["tokens"])
libraries = {
    "PyJWT": lambda token: pyjwt.decode(token, pyjwt.PyJWKSet.from_dict(keys)["k"], algorithms=allowed, audience="client"),
    "python-jose": lambda token: python_jose.decode(token, keys, algorithms=allowed, audience="client"),
    "joserfc": lambda token: joserfc.decode(token, joserfc_jwk.KeySet.import_key_set(keys), algorithms=allowed),
    "jwcrypto": lambda token: jwcrypto.JWT(jwt=token, key=jwk.JWKSet.from_json(json.dumps(keys)), algs=allowed),
}
for library, verify in libraries.items():
    for alg, token in given["tokens"].items():
        try: verify(token); said = "ok"
        except Exception as error: said = f"refused {error}"
        print(f"{library} | {alg} | {said}")
X
cat > verify.mjs <<'X'
import fs from 'node:fs';
import * as jose from 'jose';
const { keys, tokens } = JSON.parse(fs.readFileSync('in.json'));
for (const alg in tokens)
  console.log(`jose | ${alg} | ${await jose.jwtVerify(tokens[alg], jose.createLocalJWKSet(keys)).then(() => 'ok', (error) => 'refused ' + error.message)}`);
X
cat > main.go <<'X'
package main

import (
	"encoding/json"
	"fmt"
	"os"

	jose "github.com/go-jose/go-jose/v4"
	gojwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func main() {
	var given struct {
		Keys   json.RawMessage
		Tokens map[string]string
	}
	text, _ := os.ReadFile("in.json")
	json.Unmarshal(text, &given)
	set, err := jwk.Parse(given.Keys)
	if err != nil {
		panic(err)
	}
	var goSet jose.JSONWebKeySet
	json.Unmarshal(given.Keys, &goSet)
	for _, alg := range []string{"RS256", "RS512", "PS256"} {
		say := func(library string, err error) {
			fmt.Printf("%s | %s | %s\n", library, alg, map[bool]string{true: "ok", false: "refused"}[err == nil])
		}
		_, err := jwt.Parse([]byte(given.Tokens[alg]), jwt.WithKeySet(set))
		say("jwx", err)
		_, err = jwt.Parse([]byte(given.Tokens[alg]), jwt.WithKeySet(set, jws.WithInferAlgorithmFromKey(true)))
		say("jwx, told to infer", err)
		token, err := gojwt.ParseSigned(given.Tokens[alg], []jose.SignatureAlgorithm{jose.RS256, jose.RS512, jose.PS256})
		var claims gojwt.Claims
		if err == nil {
			err = token.Claims(&goSet, &claims)
		}
		say("go-jose", err)
	}
}
X
venv/bin/python make.py
{ venv/bin/python verify.py; node verify.mjs; go run . | sort; } | tee said
diff - <(sed 's/refused.*/refused/' said) <<'X' || { echo "CHANGED"; exit 1; }
PyJWT | RS256 | ok
PyJWT | RS512 | refused
PyJWT | PS256 | refused
python-jose | RS256 | ok
python-jose | RS512 | ok
python-jose | PS256 | refused
joserfc | RS256 | ok
joserfc | RS512 | ok
joserfc | PS256 | ok
jwcrypto | RS256 | ok
jwcrypto | RS512 | ok
jwcrypto | PS256 | ok
jose | RS256 | ok
jose | RS512 | ok
jose | PS256 | ok
go-jose | PS256 | ok
go-jose | RS256 | ok
go-jose | RS512 | ok
jwx | PS256 | refused
jwx | RS256 | refused
jwx | RS512 | refused
jwx, told to infer | PS256 | ok
jwx, told to infer | RS256 | ok
jwx, told to infer | RS512 | ok
X
echo "as described"
