#!/usr/bin/env bash
# One client id and secret, HTTP Basic, nine libraries: four spellings on the wire.
#
# Guess:   client_secret_basic is form-urlencoded first (RFC 6749 section 2.3.1) or it is not; either
#          way an id made of letters, digits and hyphens, a UUID say, arrives as it was registered.
# Really:  openid-client and oauth4webapi percent-encode even "-", "." and "_": the UUID arrives as
#          3f1c%2D42aa. x/oauth2 encodes all but "-._~", Nimbus encodes "~" and leaves "*". Authlib,
#          requests-oauthlib, httpx-oauth, arctic and oidc-client-ts encode nothing, so that a "+" or
#          "%" in a secret means another secret to a server that decodes as the RFC says.
# Versions: openid-client 6.9.0, oauth4webapi 3.8.8, arctic 3.7.0, oidc-client-ts 3.5.0, Authlib 1.9.10,
#          requests-oauthlib 2.0.0, httpx-oauth 0.17.0, x/oauth2 v0.38.0, oauth2-oidc-sdk 11.26.1.
# Meaning: a server that does not decode refuses a UUID client from openid-client; one that does refuses
#          secrets with "+" or "%" from Python. A secret that works everywhere has neither of the two,
#          nor ":" - letters, digits, "-" and "_" only; give out no others, and warn those who choose
#          their own.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod OAUTHLIB_INSECURE_TRANSPORT=1 PYTHONWARNINGS=ignore

python3 -m venv venv
venv/bin/pip -q install Authlib==1.9.10 requests==2.34.2 requests-oauthlib==2.0.0 httpx-oauth==0.17.0
npm init -y >/dev/null
npm install --no-audit --no-fund --silent openid-client@6.9.0 oauth4webapi@3.8.8 arctic@3.7.0 oidc-client-ts@3.5.0
go mod init finding >/dev/null 2>&1; go get golang.org/x/oauth2@v0.38.0 2>/dev/null
cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.nimbusds</groupId><artifactId>oauth2-oidc-sdk</artifactId><version>11.26.1</version>
  </dependency></dependencies>
</project>
X
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null

# A token endpoint that notes the decoded Authorization header under the last word of the path.
cat > endpoint.py <<'X'
import base64, http.server, json
class Endpoint(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        pair = base64.b64decode(self.headers["authorization"].split()[1]).decode()
        with open("wire", "a") as wire: wire.write(f"{self.path[1:]} {pair}\n")
        body = json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in": 60}).encode()
        self.send_response(200); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
open("port", "w").write(str(server.server_port)); server.serve_forever()
X
python3 endpoint.py & server=$!
until [ -s port ]; do sleep 0.1; done
export BASE="http://127.0.0.1:$(cat port)" ID='3f1c-42aa_b.c~d' SECRET='a+b%2F*c'

cat > ask.py <<'X'
import asyncio, os
from authlib.integrations.requests_client import OAuth2Session as Authlib
from httpx_oauth.oauth2 import BaseOAuth2
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
base, id, secret = (os.environ[n] for n in ("BASE", "ID", "SECRET"))
Authlib(id, secret, redirect_uri="https://rp.example/cb").fetch_token(base + "/authlib", code="x")
OAuth2Session(id, redirect_uri="https://rp.example/cb").fetch_token(
    base + "/requests-oauthlib", code="x", auth=HTTPBasicAuth(id, secret))
asyncio.run(BaseOAuth2(id, secret, "https://op.example/a", base + "/httpx-oauth",
    token_endpoint_auth_method="client_secret_basic").get_access_token("x", "https://rp.example/cb"))
X
cat > ask.mjs <<'X'
import { OAuth2Client } from 'arctic';
import * as oa from 'oauth4webapi';
import { OidcClient } from 'oidc-client-ts';
import * as oc from 'openid-client';
const { BASE, ID, SECRET } = process.env, issuer = 'https://op.example';
const config = new oc.Configuration({ issuer, token_endpoint: BASE + '/openid-client' }, ID, SECRET, oc.ClientSecretBasic(SECRET));
oc.allowInsecureRequests(config);
await oc.clientCredentialsGrant(config);
await oa.clientCredentialsGrantRequest({ issuer, token_endpoint: BASE + '/oauth4webapi' }, { client_id: ID },
  oa.ClientSecretBasic(SECRET), new URLSearchParams(), { [oa.allowInsecureRequests]: true });
await new OAuth2Client(ID, SECRET, 'https://rp.example/cb').validateAuthorizationCode(BASE + '/arctic', 'x', null);
const ts = new OidcClient({ authority: issuer, client_id: ID, client_secret: SECRET, client_authentication: 'client_secret_basic',
  redirect_uri: 'https://rp.example/cb', stateStore: {}, metadata: { issuer, token_endpoint: BASE + '/oidc-client-ts' } });
await ts.processResourceOwnerPasswordCredentials({ username: 'u', password: 'p', skipUserInfo: true }).catch(() => {});
X
cat > main.go <<'X'
package main

import (
	"context"
	"os"

	"golang.org/x/oauth2"
)

func main() {
	config := oauth2.Config{ClientID: os.Getenv("ID"), ClientSecret: os.Getenv("SECRET"), Endpoint: oauth2.Endpoint{
		TokenURL: os.Getenv("BASE") + "/x-oauth2", AuthStyle: oauth2.AuthStyleInHeader}}
	if _, err := config.Exchange(context.Background(), "x"); err != nil {
		panic(err)
	}
}
X
cat > Ask.java <<'X'
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.auth.*;
import com.nimbusds.oauth2.sdk.id.ClientID;
import java.net.URI;
class Ask {
    public static void main(String[] args) throws Exception {
        new TokenRequest(new URI(System.getenv("BASE") + "/nimbus"),
            new ClientSecretBasic(new ClientID(System.getenv("ID")), new Secret(System.getenv("SECRET"))),
            new AuthorizationCodeGrant(new AuthorizationCode("x"), new URI("https://rp.example/cb"))).toHTTPRequest().send();
    }
}
X
venv/bin/python ask.py; node ask.mjs; go run .; java -cp 'lib/*' Ask.java 2>/dev/null

echo "id $ID, secret $SECRET"
cat > want <<'X'
authlib 3f1c-42aa_b.c~d:a+b%2F*c
requests-oauthlib 3f1c-42aa_b.c~d:a+b%2F*c
httpx-oauth 3f1c-42aa_b.c~d:a+b%2F*c
openid-client 3f1c%2D42aa%5Fb%2Ec%7Ed:a%2Bb%252F%2Ac
oauth4webapi 3f1c%2D42aa%5Fb%2Ec%7Ed:a%2Bb%252F%2Ac
arctic 3f1c-42aa_b.c~d:a+b%2F*c
oidc-client-ts 3f1c-42aa_b.c~d:a+b%2F*c
x-oauth2 3f1c-42aa_b.c~d:a%2Bb%252F%2Ac
nimbus 3f1c-42aa_b.c%7Ed:a%2Bb%252F*c
X
column -t wire
diff want wire || { echo "CHANGED"; exit 1; }
echo "as described"
