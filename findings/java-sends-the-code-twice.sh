#!/usr/bin/env bash
# A token request whose answer is lost is sent a second time by the JDK itself.
#
# Guess:   a POST that may have been carried out is never repeated by an HTTP client on its own; the
#          caller gets an exception, and the authorization code was presented once.
# Really:  java.net.HttpURLConnection, and with it the Nimbus OAuth SDK, opens a new connection and
#          sends the same POST again when the first is closed without a byte of an answer. The
#          exception, if any, tells of one attempt; the server has seen two. The switch is a JVM
#          property that no OAuth library mentions (sun.net.http.retryPost, true by default).
#          java.net.http.HttpClient sends once.
# Versions: com.nimbusds:oauth2-oidc-sdk 11.26.1, JDK 17 (printed below).
# Meaning: a load balancer that closes a connection at the wrong moment makes an honest client present
#          its code twice within milliseconds, with the same everything. A provider that takes this for
#          theft revokes what it has just issued. Whoever runs such clients sets the property to false;
#          whoever runs a provider answers the same request from the same client again, or expects this.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.nimbusds</groupId><artifactId>oauth2-oidc-sdk</artifactId><version>11.26.1</version>
  </dependency></dependencies>
</project>
X
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null

# A token endpoint that reads each request to its end, notes it down and hangs up.
cat > endpoint.py <<'X'
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(listener.getsockname()[1]))
while True:
    peer, _ = listener.accept()
    text = b""
    while b"\r\n\r\n" not in text:
        text += peer.recv(65536)
    head, _, body = text.partition(b"\r\n\r\n")
    length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += peer.recv(65536)
    with open("seen", "ab") as seen:
        seen.write(head.split(b"\r\n")[0] + b" " + body + b"\n")
    peer.close()
X
python3 endpoint.py & server=$!
until [ -s port ]; do sleep 0.1; done

cat > Ask.java <<'X'
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.auth.*;
import com.nimbusds.oauth2.sdk.id.ClientID;
import java.net.URI;
import java.net.http.*;

class Ask {
    public static void main(String[] args) throws Exception {
        URI endpoint = new URI("http://127.0.0.1:" + args[1] + "/token");
        try {
            if (args[0].equals("nimbus")) {
                new TokenRequest(endpoint,
                    new ClientSecretBasic(new ClientID("client"), new Secret("secret")),
                    new AuthorizationCodeGrant(new AuthorizationCode("the-code"), new URI("https://rp.example/cb")))
                    .toHTTPRequest().send();
            } else {
                HttpClient.newHttpClient().send(HttpRequest.newBuilder(endpoint)
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(HttpRequest.BodyPublishers.ofString("grant_type=authorization_code&code=the-code")).build(),
                    HttpResponse.BodyHandlers.ofString());
            }
        } catch (java.io.IOException error) {
            System.out.println("   the program is told: " + error);
        }
    }
}
X
java -version 2>&1 | head -1
ask() { # label, expected number of requests, JVM arguments, kind
  : > seen; echo "$1"
  java $3 -cp 'lib/*' Ask.java "$4" "$(cat port)" 2>&1 | grep -v '^SLF4J\|^Note' || true
  count=$(wc -l < seen); sed 's/^/   the endpoint saw: /' seen
  [ "$count" = "$2" ] || { echo "CHANGED: $count requests, not $2"; exit 1; }
}
ask "Nimbus OAuth SDK 11.26.1" 2 "" nimbus
ask "the same, -Dsun.net.http.retryPost=false" 1 "-Dsun.net.http.retryPost=false" nimbus
ask "java.net.http.HttpClient" 1 "" jdk
echo "as described"
