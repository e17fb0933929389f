#!/usr/bin/env bash
# The QR code of "Example & Co": an otpauth URI that not even its own library reads back.
#
# Guess:   a library that builds otpauth URIs percent-encodes what separates parameters; an issuer called
#          "Example & Co" or "Example+Co" is no more than a test case.
# Really:  Go's pquerna/otp leaves "&" and "+" in the query as they are (issuer=Example%20&%20Co). Its own
#          parser then finds the issuer "Example ", and "Example Co" for the other; npm's otpauth refuses
#          the first, pyotp both ("issuer ... in both label and parameters ... should be equal"), otplib shows
#          half the name. What pyotp writes is read by all four. And readers disagree on "+" in general: a space
#          to Go and pyotp, a plus sign to otpauth and otplib.
# Versions: pquerna/otp v1.5.0, pyotp 2.12.1, otpauth 9.5.2, @otplib/uri 13.5.0.
# Meaning: a company with "&" in its name gets a QR code that some authenticators refuse and some file
#          under half a name. A provider writes %20, %26 and %2B, never "+", puts the very same issuer into
#          the label and the parameter, and tests with a name that has all three.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod
python3 -m venv venv; venv/bin/pip -q install pyotp==2.12.1
npm init -y >/dev/null; npm install --no-audit --no-fund --silent otpauth@9.5.2 @otplib/uri@13.5.0
go mod init finding >/dev/null 2>&1; go get github.com/pquerna/otp@v1.5.0 2>/dev/null
cat > main.go <<'X'
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

func main() {
	if len(os.Args) > 1 {
		for _, issuer := range os.Args[1:] {
			key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: "alice@example.com", Secret: []byte("0123456789abcdefghij")})
			if err != nil {
				panic(err)
			}
			fmt.Println(key)
		}
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		key, err := otp.NewKeyFromURL(lines.Text())
		if err != nil {
			fmt.Println("pquerna/otp | refused")
			continue
		}
		fmt.Printf("pquerna/otp | %q\n", key.Issuer())
	}
}
X
go build -o otp main.go
cat > otp.py <<'X'
import json, sys
import pyotp
if len(sys.argv) > 1:
    for issuer in sys.argv[1:]: print(pyotp.TOTP("GAYTEMZUGU3DOOBZMFRGGZDFMZTWQ2LK").provisioning_uri(name="alice@example.com", issuer_name=issuer))
else:
    for line in sys.stdin:
        try: print("pyotp |", json.dumps(pyotp.parse_uri(line.strip()).issuer))
        except ValueError: print("pyotp | refused")
X
cat > otp.mjs <<'X'
import fs from 'node:fs';
import { parse } from '@otplib/uri';
import * as OTPAuth from 'otpauth';
const say = (name, read) => { try { console.log(name, '|', JSON.stringify(read())); } catch { console.log(name, '| refused'); } };
const lines = fs.readFileSync(0, 'utf8').trim().split('\n');
for (const line of lines) say('otpauth', () => OTPAuth.URI.parse(line).issuer);
for (const line of lines) say('otplib', () => parse(line).params.issuer);
X
for writer in ./otp "venv/bin/python otp.py"; do
  $writer "Example & Co" "Example+Co" > uris
  grep -o 'issuer=[^ ]*' uris | sed 's/&\(period\|algorithm\|digits\|secret\)=.*//'
  ./otp < uris; venv/bin/python otp.py < uris; node otp.mjs < uris
done | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
issuer=Example%20&%20Co
issuer=Example+Co
pquerna/otp | "Example "
pquerna/otp | "Example Co"
pyotp | refused
pyotp | refused
otpauth | refused
otpauth | "Example+Co"
otplib | "Example "
otplib | "Example+Co"
issuer=Example%20%26%20Co
issuer=Example%2BCo
pquerna/otp | "Example & Co"
pquerna/otp | "Example+Co"
pyotp | "Example & Co"
pyotp | "Example+Co"
otpauth | "Example & Co"
otpauth | "Example+Co"
otplib | "Example & Co"
otplib | "Example+Co"
X
echo "as described"
