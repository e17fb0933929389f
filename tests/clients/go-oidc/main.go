// A small website with coreos/go-oidc and golang.org/x/oauth2: signs people in, refreshes as several copies of
// it would at once, and takes access tokens as an API does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func main() {
	ctx := context.Background()
	issuer, listen := os.Args[1], os.Args[2]
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		panic(err)
	}
	config := oauth2.Config{
		ClientID: "go-oidc", ClientSecret: os.Getenv("CLIENT_SECRET"), Endpoint: provider.Endpoint(),
		RedirectURL: "http://" + listen + "/callback", Scopes: []string{"openid", "profile", "email", "offline_access"},
	}
	verifier, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	var token *oauth2.Token

	http.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, config.AuthCodeURL("the-state", oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
	})
	http.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		token, err = config.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		told, err := read(ctx, provider, token)
		answer(w, told, err)
	})
	// As many copies of the website as `copies` says, none of which knows of the others.
	http.HandleFunc("/refresh", func(w http.ResponseWriter, r *http.Request) {
		copies, _ := strconv.Atoi(r.FormValue("copies"))
		old := &oauth2.Token{RefreshToken: token.RefreshToken, Expiry: time.Now().Add(-time.Hour)}
		fresh, failures := make([]*oauth2.Token, copies), make([]error, copies)
		var all sync.WaitGroup
		for i := range copies {
			all.Add(1)
			go func() { defer all.Done(); fresh[i], failures[i] = config.TokenSource(ctx, old).Token() }()
		}
		all.Wait()
		successors := map[string]bool{}
		for i, failure := range failures {
			if failure != nil {
				answer(w, nil, failure)
				return
			}
			successors[fresh[i].RefreshToken] = true
		}
		token = fresh[0]
		answer(w, map[string]int{"successors": len(successors)}, nil)
	})
	http.HandleFunc("/api", func(w http.ResponseWriter, r *http.Request) {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		access, err := provider.Verifier(&oidc.Config{ClientID: "https://api.example"}).Verify(ctx, bearer)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		answer(w, map[string]string{"sub": access.Subject}, nil)
	})
	http.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, token.AccessToken) })
	panic(http.ListenAndServe(listen, nil))
}

// read is what the ID token and userinfo say of the person, each checked by the library.
func read(ctx context.Context, provider *oidc.Provider, token *oauth2.Token) (map[string]any, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: "go-oidc"}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	return map[string]any{"sub": id.Subject, "nonce": id.Nonce != "", "email": info.Email, "same": info.Subject == id.Subject,
		"hash": id.VerifyAccessToken(token.AccessToken) == nil}, nil
}

func answer(w http.ResponseWriter, what any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(what)
}
