#!/usr/bin/env bash
# WWW-Authenticate with a DPoP and a Bearer challenge: what four clients make of it.
#
# Guess:   the header is a list of challenges (RFC 9110 section 11.6.1), and a resource that takes both
#          kinds of token is told to offer both (RFC 9449 section 7.1); so a client finds the Bearer
#          challenge wherever it stands.
# Really:  the MCP SDK for TypeScript reads the first word of the header: with DPoP first it sees no
#          resource_metadata and no scope, though both stand there. The one for Python searches the whole text
#          and takes the first parameter of the name, whichever challenge it belongs to. Werkzeug makes one
#          challenge of it, with a parameter called "Bearer resource_metadata". oauth4webapi reads two.
#          With Bearer first the two SDKs agree.
# Versions: @modelcontextprotocol/sdk 1.32.2, mcp (Python) 2.3.0, Werkzeug 3.1.9, oauth4webapi 3.8.8.
# Meaning: an API that adds DPoP in front of what it sent so far is lost to TypeScript clients that discover
#          its provider by that header. Bearer first, DPoP behind it. Two header lines are no help: fetch joins
#          them before a program sees them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install mcp==2.3.0 Werkzeug==3.1.9
npm init -y >/dev/null; npm install --no-audit --no-fund --silent @modelcontextprotocol/sdk@1.32.2 oauth4webapi@3.8.8
cat > headers <<'X'
Bearer resource_metadata="https://rs.example/meta", scope="read"
Bearer resource_metadata="https://rs.example/meta", scope="read", DPoP algs="ES256"
DPoP algs="ES256", Bearer resource_metadata="https://rs.example/meta", scope="read"
DPoP algs="ES256", scope="admin", Bearer resource_metadata="https://rs.example/meta", scope="read"
X
cat > read.mjs <<'X'
import fs from 'node:fs';
import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
import * as oa from 'oauth4webapi';
for (const line of fs.readFileSync('headers', 'utf8').trim().split('\n')) {
  const answer = () => new Response(null, { status: 401, headers: { 'www-authenticate': line } });
  const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(answer());
  console.log('MCP TypeScript |', resourceMetadataUrl ? 'metadata' : '-', scope ?? '-');
  const error = await oa.protectedResourceRequest('token', 'GET', new URL('https://rs.example'), undefined, undefined, { [oa.customFetch]: async () => answer() }).catch((e) => e);
  const bearer = error.cause.find((challenge) => challenge.scheme === 'bearer')?.parameters;
  console.log('oauth4webapi |', bearer?.resource_metadata ? 'metadata' : '-', bearer?.scope ?? '-');
}
X
cat > read.py <<'X'
import httpx2
from mcp.client.auth.utils import extract_resource_metadata_from_www_auth, extract_scope_from_www_auth
from werkzeug.datastructures import WWWAuthenticate
for line in open("headers"):
    answer = httpx2.Response(401, headers={"www-authenticate": line.strip()})
    print("MCP Python |", "metadata" if extract_resource_metadata_from_www_auth(answer) else "-", extract_scope_from_www_auth(answer) or "-")
    read = WWWAuthenticate.from_header(line.strip())
    print("Werkzeug |", read.type, "|", ", ".join(read.parameters))
X
{ node read.mjs; venv/bin/python read.py; } | LC_ALL=C sort -s -t'|' -k1,1 | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
MCP Python | metadata read
MCP Python | metadata read
MCP Python | metadata read
MCP Python | metadata admin
MCP TypeScript | metadata read
MCP TypeScript | metadata read
MCP TypeScript | - -
MCP TypeScript | - -
Werkzeug | bearer | resource_metadata, scope
Werkzeug | bearer | resource_metadata, scope, DPoP algs
Werkzeug | dpop | algs, Bearer resource_metadata, scope
Werkzeug | dpop | algs, scope, Bearer resource_metadata
oauth4webapi | metadata read
oauth4webapi | metadata read
oauth4webapi | metadata read
oauth4webapi | metadata read
X
echo "as described"
