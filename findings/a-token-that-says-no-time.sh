#!/usr/bin/env bash
# A token response without expires_in: one client takes the token for over at once, the others for everlasting.
#
# Guess:   expires_in is only RECOMMENDED (RFC 6749 section 5.1); a client that is not told uses the token until the
#          API refuses it. All do the same, for there is nothing else to go by.
# Really:  Spring Security gives such a token a lifetime of one second, and as it renews a minute before the end, every
#          use is a refresh: five uses, five token requests, also with each new token. x/oauth2 and Authlib never
#          renew by themselves what they were told no end of. Nobody says a word.
# Versions: spring-security-oauth2-client 7.0.6, golang.org/x/oauth2 0.38.0, Authlib 1.9.10.
# Meaning: a provider or a proxy in front of one that leaves expires_in out has a token endpoint that sees each request
#          of a Spring application, with rotation a new refresh token each time, and other applications that fail
#          when the token ends. Always send it; an access token that lives for a minute or less is the same to Spring.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod
mkdir -p src/main/java
cat > pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
<dependencies><dependency><groupId>org.springframework.security</groupId><artifactId>spring-security-oauth2-client</artifactId><version>7.0.6</version></dependency><dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-databind</artifactId><version>2.20.1</version></dependency></dependencies></project>
X
cat > src/main/java/Spring.java <<'X'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.*;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.oauth2.client.*;
import org.springframework.security.oauth2.client.registration.*;
import org.springframework.security.oauth2.core.*;
import org.springframework.security.oauth2.core.endpoint.DefaultMapOAuth2AccessTokenResponseConverter;

public class Spring {
  static OAuth2AccessToken read(Map<String, Object> more) {
    Map<String, Object> answer = new HashMap<>(Map.of("access_token", "first", "token_type", "Bearer"));
    answer.putAll(more);
    return new DefaultMapOAuth2AccessTokenResponseConverter().convert(answer).getAccessToken();
  }
  public static void main(String[] args) throws Exception {
    int[] asked = {0};
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    String[] more = {""};
    server.createContext("/", request -> {
      asked[0]++;
      byte[] body = ("{\"access_token\":\"next\",\"token_type\":\"Bearer\"" + more[0] + "}").getBytes();
      request.getResponseHeaders().add("content-type", "application/json");
      request.sendResponseHeaders(200, body.length); request.getResponseBody().write(body); request.close();
    });
    server.start();
    ClientRegistration client = ClientRegistration.withRegistrationId("op").clientId("id").clientSecret("secret")
      .authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE).redirectUri("http://app.example/cb").authorizationUri("http://op.example/a")
      .tokenUri("http://127.0.0.1:" + server.getAddress().getPort() + "/token").build();
    OAuth2AuthorizedClientService kept = new InMemoryOAuth2AuthorizedClientService(new InMemoryClientRegistrationRepository(client));
    AuthorizedClientServiceOAuth2AuthorizedClientManager manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(new InMemoryClientRegistrationRepository(client), kept);
    manager.setAuthorizedClientProvider(OAuth2AuthorizedClientProviderBuilder.builder().authorizationCode().refreshToken().build());
    var person = new TestingAuthenticationToken("ada", "");
    for (Map<String, Object> said : List.of(Map.<String, Object>of(), Map.<String, Object>of("expires_in", 3600))) {
      OAuth2AccessToken first = read(said);
      kept.saveAuthorizedClient(new OAuth2AuthorizedClient(client, "ada", first, new OAuth2RefreshToken("refresh", null)), person);
      more[0] = said.isEmpty() ? "" : ",\"expires_in\":3600";
      asked[0] = 0;
      for (int use = 0; use < 5; use++) manager.authorize(OAuth2AuthorizeRequest.withClientRegistrationId("op").principal(person).build());
      System.out.println("Spring Security | expires_in " + (said.isEmpty() ? "left out" : "3600") + " | lifetime " + Duration.between(first.getIssuedAt(), first.getExpiresAt()).toSeconds() + " s, " + asked[0] + " refreshes in 5 uses");
    }
    System.exit(0);
  }
}
X
cat > main.go <<'X'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"golang.org/x/oauth2"
)

func main() {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"first","token_type":"Bearer","refresh_token":"refresh"}`)
	}))
	config := oauth2.Config{ClientID: "id", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInHeader}}
	token, err := config.Exchange(context.Background(), "code")
	if err != nil {
		panic(err)
	}
	asked = 0
	source := config.TokenSource(context.Background(), token)
	for range 5 {
		source.Token()
	}
	fmt.Printf("x/oauth2 | expires_in left out | no end, %d refreshes in 5 uses\n", asked)
}
X
cat > ask.py <<'X'
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import OAuth2Token
asked = []
session = OAuth2Session("id", "secret", token_endpoint="http://127.0.0.1:9/token", token=OAuth2Token.from_dict(
    {"access_token": "first", "token_type": "Bearer", "refresh_token": "refresh"}))
session.refresh_token = lambda *_, **__: asked.append(1)
for _ in range(5): session.ensure_active_token(session.token)
print(f"Authlib | expires_in left out | no end, {len(asked)} refreshes in 5 uses")
X
python3 -m venv venv; venv/bin/pip -q install Authlib==1.9.10 requests==2.34.2
go mod init finding >/dev/null 2>&1; go get golang.org/x/oauth2@v0.38.0 2>/dev/null
{
  mvn -q -B compile org.codehaus.mojo:exec-maven-plugin:3.5.0:java -Dexec.mainClass=Spring 2>/dev/null | grep -o 'Spring Security.*' || true
  go run .
  venv/bin/python -W ignore ask.py
} | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
Spring Security | expires_in left out | lifetime 1 s, 5 refreshes in 5 uses
Spring Security | expires_in 3600 | lifetime 3600 s, 0 refreshes in 5 uses
x/oauth2 | expires_in left out | no end, 0 refreshes in 5 uses
Authlib | expires_in left out | no end, 0 refreshes in 5 uses
X
echo "as described"
