// An MCP client that is told over its standard input what to do, as ../mcp-python/program.py is: program SERVER
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

var in = bufio.NewScanner(os.Stdin)

func say(what map[string]any) {
	line, _ := json.Marshal(what)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		say(map[string]any{"failed": err.Error()})
		os.Exit(1)
	}
}

// signIn registers the client and sends the person to the server's provider, as the library's own example does.
func signIn(ctx context.Context, handler *transport.OAuthHandler) {
	verifier, err := client.GenerateCodeVerifier()
	must(err)
	state, err := client.GenerateState()
	must(err)
	must(handler.RegisterClient(ctx, "MCP test"))
	link, err := handler.GetAuthorizationURL(ctx, state, client.GenerateCodeChallenge(verifier))
	must(err)
	say(map[string]any{"visit": link})
	in.Scan()
	back, err := url.Parse(in.Text())
	must(err)
	must(handler.ProcessAuthorizationResponse(ctx, back.Query().Get("code"), back.Query().Get("state"), verifier))
}

func main() {
	ctx := context.Background()
	c, err := client.NewOAuthStreamableHttpClient(os.Args[1], client.OAuthConfig{
		RedirectURI: "http://127.0.0.1:9/callback", TokenStore: client.NewMemoryTokenStore(), PKCEEnabled: true})
	must(err)
	must(c.Start(ctx))
	hello := mcp.InitializeRequest{}
	hello.Params.ProtocolVersion, hello.Params.ClientInfo = mcp.LATEST_PROTOCOL_VERSION, mcp.Implementation{Name: "test", Version: "1"}
	_, err = c.Initialize(ctx, hello)
	if client.IsOAuthAuthorizationRequiredError(err) {
		signIn(ctx, client.GetOAuthHandler(err))
		_, err = c.Initialize(ctx, hello)
	}
	must(err)
	say(map[string]any{"ready": true})
	for in.Scan() {
		var count int
		fmt.Sscanf(in.Text(), "call %d", &count)
		said, failures := make([]string, count), make([]error, count)
		var all sync.WaitGroup
		for i := range count {
			all.Add(1)
			go func() { defer all.Done(); said[i], failures[i] = call(ctx, c) }()
		}
		all.Wait()
		for _, failure := range failures {
			must(failure)
		}
		say(map[string]any{"called": said})
	}
}

func call(ctx context.Context, c *client.Client) (string, error) {
	request := mcp.CallToolRequest{}
	request.Params.Name = "who"
	result, err := c.CallTool(ctx, request)
	if err != nil {
		return "", err
	}
	return result.Content[0].(mcp.TextContent).Text, nil
}
