#!/usr/bin/env bash
# golang.org/x/oauth2, not told how to authenticate, sends one authorization code twice.
#
# Guess:   with AuthStyle left out the library finds out how the server wants the client's secret: a
#          401 "invalid_client" on the first way makes it try the second. Any other failure is returned.
# Really:  any failure at all makes it try again: "invalid_grant" with 400, 503, even a connection
#          that ended without an answer. The second request has the same code (or refresh token) and
#          carries the secret in the body instead of the header. What the program is told is the
#          second answer only.
# Versions: golang.org/x/oauth2 v0.38.0, Go 1.26 (printed below).
# Meaning: for each mistyped or stale code an audit log shows two failures in a row, by
#          two methods of authentication, and a counter of failures counts two. A code that was
#          redeemed, its answer lost, is presented a second time at once. Set AuthStyle in the
#          endpoint (oidc.Provider.Endpoint() of go-oidc leaves it to be found out as well).
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get golang.org/x/oauth2@v0.38.0 github.com/coreos/go-oidc/v3@v3.21.0 2>/dev/null

cat > main.go <<'X'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type seen struct{ how, code string }

// exchange redeems a code at an endpoint that fails in one way, and tells what the endpoint saw.
func exchange(style oauth2.AuthStyle, fail func(http.ResponseWriter)) (all []seen, told error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		how := "secret in the header"
		if r.PostForm.Get("client_secret") != "" {
			how = "secret in the body"
		}
		all = append(all, seen{how, r.PostForm.Get("code")})
		fail(w)
	}))
	defer server.Close()
	config := oauth2.Config{ClientID: "client", ClientSecret: "secret",
		Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: style}}
	_, told = config.Exchange(context.Background(), "the-code")
	return
}

func main() {
	answer := func(status int, code string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%q}`, code)
		}
	}
	hangUp := func(w http.ResponseWriter) { c, _, _ := w.(http.Hijacker).Hijack(); c.Close() }
	good := true
	for _, c := range []struct {
		name  string
		style oauth2.AuthStyle
		fail  func(http.ResponseWriter)
		want  int
	}{
		{"401 invalid_client", oauth2.AuthStyleAutoDetect, answer(401, "invalid_client"), 2},
		{"400 invalid_grant", oauth2.AuthStyleAutoDetect, answer(400, "invalid_grant"), 2},
		{"503 temporarily_unavailable", oauth2.AuthStyleAutoDetect, answer(503, "temporarily_unavailable"), 2},
		{"connection closed", oauth2.AuthStyleAutoDetect, hangUp, 2},
		{"400 invalid_grant, AuthStyleInHeader", oauth2.AuthStyleInHeader, answer(400, "invalid_grant"), 1},
	} {
		all, _ := exchange(c.style, c.fail)
		fmt.Printf("%-37s %d requests %v\n", c.name, len(all), all)
		good = good && len(all) == c.want
	}

	var issuer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","jwks_uri":"%[1]s/j",
			"token_endpoint_auth_methods_supported":["client_secret_basic"]}`, issuer)
	}))
	defer server.Close()
	issuer = server.URL
	provider, err := oidc.NewProvider(context.Background(), issuer)
	if err != nil {
		panic(err)
	}
	found := provider.Endpoint().AuthStyle
	fmt.Println("go-oidc, discovery names client_secret_basic only: AuthStyle", found, "(0 is to be found out)")
	if !good || found != oauth2.AuthStyleAutoDetect {
		fmt.Println("CHANGED")
		os.Exit(1)
	}
	fmt.Println("as described")
}
X
go version; grep -E 'oauth2|go-oidc' go.mod
go run .
