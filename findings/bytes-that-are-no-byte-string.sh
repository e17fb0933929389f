#!/usr/bin/env bash
# A Uint8Array, written as CBOR by JavaScript's two usual libraries, is not a byte string.
#
# Guess:   encode({fmt: "none", attStmt: {}, authData: new Uint8Array(...)}) gives a WebAuthn attestation
#          object; so does the same with a Buffer, and a Map is the way to write a COSE key.
# Really:  cbor-x and cbor write the Uint8Array with tag 64 (RFC 8746, typed array): 0xd840 before the
#          bytes. A Buffer, which is a Uint8Array, is written without. cbor-x puts tag 259 before each
#          Map as well, and gives plain objects a two-byte length (b90003) however short they are.
#          Both read their own output back without a trace of any of this. The readers of WebAuthn servers do not:
#          @simplewebauthn/server refuses cbor-x's objects altogether, for their two-byte length, and hands
#          on cbor's bytes as a tag object; py_webauthn as a CBORTag; python-fido2 raises; Go's fxamacker/cbor
#          takes the tag into a []byte without a word.
# Versions: cbor-x 1.6.9, cbor 10.0.12, @simplewebauthn/server 14.0.3, webauthn (py) 3.0.1, fido2 2.2.1,
#          fxamacker/cbor v2.10.0, Node.js 20.
# Meaning: a software authenticator for tests, or an attestation proxy, written in JavaScript wraps bytes in
#          Buffer.from(), or for cbor-x sets variableMapSize: true, tagUint8Array: false and useTag259ForMaps:
#          false ("tamed" below); a round trip through one library proves nothing about the bytes. A server
#          that answers "malformed attestation" helps by naming the offset and the tag.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod
python3 -m venv venv; venv/bin/pip -q install webauthn==3.0.1 fido2==2.2.1
npm init -y >/dev/null; npm install --no-audit --no-fund --silent --ignore-scripts cbor-x@1.6.9 cbor@10.0.12 @simplewebauthn/server@14.0.3
go mod init finding >/dev/null 2>&1; go get github.com/fxamacker/cbor/v2@v2.10.0 2>/dev/null
cat > write.mjs <<'X'
import fs from 'node:fs';
import { isoCBOR } from '@simplewebauthn/server/helpers';
import cbor from 'cbor';
import * as cborX from 'cbor-x';
const data = new Uint8Array(37).fill(7), lines = [];
const tamed = new cborX.Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false, useTag259ForMaps: false });
for (const [library, { encode, decode }] of [['cbor-x', cborX], ['cbor-x tamed', { encode: (v) => tamed.encode(v), decode: (v) => tamed.decode(v) }], ['cbor', cbor]])
  for (const [kind, bytes] of [['Uint8Array', data], ['Buffer', Buffer.from(data)]]) {
    const written = Buffer.from(encode({ fmt: 'none', attStmt: {}, authData: bytes }));
    const at = written.indexOf(data) - 2;
    console.log(`${library} ${kind}: begins ${written.subarray(0, 3).toString('hex')}, authData ${written.subarray(at - 2, at + 2).toString('hex')}`);
    console.log(`   itself: ${Buffer.from(decode(written).authData).equals(Buffer.from(data)) ? 'bytes' : 'something else'}`);
    let said;
    try { const read = isoCBOR.decodeFirst(written).get('authData'); said = read instanceof Uint8Array ? 'bytes' : read.constructor.name; } catch (error) { said = 'refused'; }
    console.log(`   @simplewebauthn/server: ${said}`);
    lines.push(`${library} ${kind}: ${written.toString('hex')}`);
  }
console.log('cbor-x Map:', Buffer.from(cborX.encode(new Map([[1, 2], [3, -7]]))).toString('hex'));
console.log('cbor-x tamed Map:', Buffer.from(tamed.encode(new Map([[1, 2], [3, -7]]))).toString('hex'));
console.log('cbor Map:', Buffer.from(cbor.encode(new Map([[1, 2], [3, -7]]))).toString('hex'));
fs.writeFileSync('written', lines.join('\n') + '\n');
X
cat > read.py <<'X'
from fido2 import cbor
from webauthn.helpers import parse_cbor
for line in open("written"):
    who, written = line.strip().rsplit(": ")
    for reader, read in (("py_webauthn", parse_cbor), ("fido2", cbor.decode)):
        try: value = read(bytes.fromhex(written))["authData"]; said = "bytes" if isinstance(value, bytes) else type(value).__name__
        except Exception as error: said = "refused"
        print(f"{who} | {reader}: {said}")
X
cat > main.go <<'X'
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

func main() {
	file, _ := os.Open("written")
	for lines := bufio.NewScanner(file); lines.Scan(); {
		who, text, _ := strings.Cut(lines.Text(), ": ")
		written, _ := hex.DecodeString(text)
		var object struct {
			AuthData []byte `cbor:"authData"`
		}
		said := "bytes"
		if err := cbor.Unmarshal(written, &object); err != nil || len(object.AuthData) != 37 {
			said = "refused"
		}
		fmt.Println(who, "| fxamacker/cbor:", said)
	}
}
X
{ node write.mjs; venv/bin/python read.py; go run .; } | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
cbor-x Uint8Array: begins b90003, authData d8405825
   itself: bytes
   @simplewebauthn/server: refused
cbor-x Buffer: begins b90003, authData 74615825
   itself: bytes
   @simplewebauthn/server: refused
cbor-x tamed Uint8Array: begins a36366, authData 74615825
   itself: bytes
   @simplewebauthn/server: bytes
cbor-x tamed Buffer: begins a36366, authData 74615825
   itself: bytes
   @simplewebauthn/server: bytes
cbor Uint8Array: begins a36366, authData d8405825
   itself: bytes
   @simplewebauthn/server: CBORTag
cbor Buffer: begins a36366, authData 74615825
   itself: bytes
   @simplewebauthn/server: bytes
cbor-x Map: d90103a201020326
cbor-x tamed Map: a201020326
cbor Map: a201020326
cbor-x Uint8Array | py_webauthn: CBORTag
cbor-x Uint8Array | fido2: refused
cbor-x Buffer | py_webauthn: bytes
cbor-x Buffer | fido2: bytes
cbor-x tamed Uint8Array | py_webauthn: bytes
cbor-x tamed Uint8Array | fido2: bytes
cbor-x tamed Buffer | py_webauthn: bytes
cbor-x tamed Buffer | fido2: bytes
cbor Uint8Array | py_webauthn: CBORTag
cbor Uint8Array | fido2: refused
cbor Buffer | py_webauthn: bytes
cbor Buffer | fido2: bytes
cbor-x Uint8Array | fxamacker/cbor: bytes
cbor-x Buffer | fxamacker/cbor: bytes
cbor-x tamed Uint8Array | fxamacker/cbor: bytes
cbor-x tamed Buffer | fxamacker/cbor: bytes
cbor Uint8Array | fxamacker/cbor: bytes
cbor Buffer | fxamacker/cbor: bytes
X
echo "as described"
