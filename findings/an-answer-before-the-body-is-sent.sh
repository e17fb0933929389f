#!/usr/bin/env bash
# HTTP/2: a server refuses a request before all of its body is there, and asks for no more of it.
#
# Guess:   RFC 9113 section 8.1 lets a server answer early and then reset the stream with NO_ERROR, and says that
#          clients MUST NOT discard the answer for that. So a form that is too large gets its 413 everywhere.
# Really:  Go, Node.js and libcurl 8.16 show the 413. httpx waits for a window to send the rest on a stream that
#          is no longer there: ReadTimeout, five seconds later with the default, and the 413 that it has read is
#          never seen. (libcurl 7.88.1, as Debian 12 has it: error 92, no answer.) If the server reads the rest and
#          throws it away, all of them show the 413.
# Versions: httpx 0.28.1, httpcore 1.0.9, h2 4.3.0; pycurl 7.45.7 (libcurl 8.16.0); Go 1.26; Node.js 20.
# Meaning: a token or a pushed authorization endpoint that refuses by Content-Length looks as if it hung to a
#          Python client. Read what still comes, for a moment and up to a limit, as servers of HTTP/1.1 do.
set -euo pipefail
dir=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install 'httpx[http2]==0.28.1' httpcore==1.0.9 h2==4.3.0 pycurl==7.45.7
cat > server.py <<'X'
import socket, sys, threading
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived
from h2.exceptions import ProtocolError

def serve(sock, resets):
    conn = H2Connection(H2Configuration(client_side=False))
    conn.initiate_connection()
    sock.sendall(conn.data_to_send())
    while data := sock.recv(65536):
        for event in conn.receive_data(data):
            if isinstance(event, RequestReceived):
                body = b'{"error":"invalid_request"}'
                conn.send_headers(event.stream_id, [(":status", "413"), ("content-length", str(len(body)))])
                conn.send_data(event.stream_id, body, end_stream=True)
                if resets:
                    conn.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
            if isinstance(event, DataReceived) and not resets:
                conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        sock.sendall(conn.data_to_send())

def quietly(sock, resets):
    try: serve(sock, resets)
    except (OSError, ProtocolError): sock.close()

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    sock, _ = listener.accept()
    threading.Thread(target=quietly, args=(sock, sys.argv[1] == "resets"), daemon=True).start()
X
cat > ask.py <<'X'
import io, sys, httpx, pycurl
url, body = f"http://127.0.0.1:{sys.argv[1]}/token", b"x" * 200_000
try:
    with httpx.Client(http1=False, http2=True, timeout=5) as client:
        print("httpx |", client.post(url, content=body).status_code)
except httpx.HTTPError as error:
    print("httpx |", type(error).__name__)
curl = pycurl.Curl()
for option, value in [(curl.URL, url), (curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE),
                      (curl.POSTFIELDS, body), (curl.WRITEDATA, io.BytesIO()), (curl.TIMEOUT, 5)]:
    curl.setopt(option, value)
try: curl.perform()
except pycurl.error as error: print("libcurl |", error.args[0])
else: print("libcurl |", curl.getinfo(curl.RESPONSE_CODE))
X
cat > ask.mjs <<'X'
import http2 from 'node:http2';
const session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
const stream = session.request({ ':method': 'POST', ':path': '/token' });
stream.on('response', (headers) => console.log('node:http2 |', headers[':status']));
stream.on('error', (error) => console.log('node:http2 |', error.code));
stream.on('close', () => session.destroy());
stream.resume().end(Buffer.alloc(200_000, 'x'));
X
mkdir ask && cat > ask/main.go <<'X'
package main

import ("bytes"; "fmt"; "net/http"; "os"; "time")

func main() {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Protocols: &only}}
	body := bytes.NewReader(bytes.Repeat([]byte("x"), 200_000))
	answer, err := client.Post("http://127.0.0.1:"+os.Args[1]+"/token", "text/plain", body)
	if err != nil { fmt.Println("net/http |", err); return }
	fmt.Println("net/http |", answer.StatusCode)
}
X
for how in resets reads; do
  venv/bin/python server.py $how > port & until [ -s port ]; do sleep 0.1; done
  echo "the server $how"
  venv/bin/python ask.py "$(cat port)"; node ask.mjs "$(cat port)"; go run ask/main.go "$(cat port)"
  kill $!; : > port
done | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
the server resets
httpx | ReadTimeout
libcurl | 413
node:http2 | 413
net/http | 413
the server reads
httpx | 413
libcurl | 413
node:http2 | 413
net/http | 413
X
echo "as described"
