"""An MCP client that is told over its standard input what to do: python program.py SERVER

`call N` calls the tool N times at once and says what came. Where somebody has to sign in it says `{"visit": link}`, and
reads the address that the person came back to.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth.oauth2 import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Kept:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def say(**what):
    print(json.dumps(what), flush=True)


async def hear():
    return (await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)).strip()


async def visit(link):
    say(visit=link)


async def back():
    query = parse_qs(urlsplit(await hear()).query)
    return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query.get("iss", [None])[0])


async def call(session):
    return (await session.call_tool("who", {})).content[0].text


async def main(server):
    metadata = OAuthClientMetadata(client_name="MCP test", redirect_uris=["http://127.0.0.1:9/callback"])
    auth = OAuthClientProvider(server, metadata, Kept(), visit, back)
    async with httpx2.AsyncClient(auth=auth) as http, streamable_http_client(server, http_client=http) as streams:
        async with ClientSession(*streams[:2]) as session:
            await session.initialize()
            say(ready=True)
            while command := await hear():
                count = int(command.split()[1])
                say(called=await asyncio.gather(*(call(session) for _ in range(count))))


asyncio.run(main(sys.argv[1]))
