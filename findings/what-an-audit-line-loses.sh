#!/usr/bin/env bash
# A redirect URI on its way through CEF and syslog: written by the rules, read by three parsers.
#
# Guess:   CEF and RFC 5424 say how "=", "]" and quotes are escaped; what a library wrote by the rule, a parser
#          gives back as it was.
# Really:  a URL with a query, escaped as CEF asks (code\=1), comes back from pycef with the backslashes left
#          in, and from nsyslog-parser cut off at the first "=": every redirect URI, referer and
#          error_description with an equals sign. pycef also renames cs1 to what cs1Label says, so that the
#          field has no fixed name. In RFC 5424, an escaped quote makes nsyslog-parser return no structured
#          data at all (it becomes part of the message) and an escaped bracket keeps its backslash;
#          glossy reads both as they were.
# Versions: cefevent 0.5.6 (writes), pycef 1.11, nsyslog-parser 0.10.1, glossy 0.1.7,
#          rfc5424-logging-handler 1.4.3 (writes).
# Meaning: what people type (names, clients' URIs) is the part of a sign-in event that gets lost. An audit
#          log for others to read is JSON lines; where CEF is asked for, URLs go in without their query,
#          and a search for "code=" in what the collector stored proves nothing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install cefevent==0.5.6 pycef==1.11 rfc5424-logging-handler==1.4.3
npm init -y >/dev/null; npm install --no-audit --no-fund --silent --ignore-scripts nsyslog-parser@0.10.1 glossy@0.1.7
cat > write.py <<'X'
import logging, socket
import pycef
from cefevent import CEFEvent
from rfc5424logging import Rfc5424SysLogHandler
event = CEFEvent()
for name, value in {"deviceVendor": "Example", "deviceProduct": "IdP", "deviceVersion": "1", "signatureId": "login",
        "name": "Sign in", "severity": 5, "sourceUserName": "alice", "reason": "https://rp.example/cb?client=shop&step=2",
        "deviceCustomString1Label": "client", "deviceCustomString1": "shop"}.items(): event.set_field(name, value)
line = event.build_cef(); open("cef", "w").write(line)
print("CEF:", line)
read = pycef.parse(line)
print("pycef: reason", read["reason"], "| cs1", read.get("cs1"), "| client", read.get("client"))
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); receiver.bind(("127.0.0.1", 0)); receiver.settimeout(20)
log = logging.getLogger("idp"); log.setLevel(logging.INFO)
log.addHandler(Rfc5424SysLogHandler(address=receiver.getsockname(), enterprise_id=32473, hostname="op.example", procid=1))
for number, user in enumerate(("alice", "al[i]ce", 'alice "al"')):
    log.info("sign-in", extra={"structured_data": {"login": {"user": user, "ip": "192.0.2.1"}}})
    line = receiver.recv(9999); open(f"syslog{number}", "wb").write(line)
    print("syslog:", line.decode().split(" - ")[1].replace("\ufeff", ""))
X
cat > read.mjs <<'X'
import fs from 'node:fs';
import glossy from 'glossy';
import nsyslog from 'nsyslog-parser';
const cef = nsyslog(fs.readFileSync('cef', 'utf8'), { cef: true }).fields;
console.log('nsyslog-parser: reason', cef.reason, '| cs1', cef.cs1);
for (const number of [0, 1, 2]) {
  const line = fs.readFileSync(`syslog${number}`, 'utf8');
  console.log('nsyslog-parser:', JSON.stringify(nsyslog(line).structuredData));
  glossy.Parse.parse(line, (read) => console.log('glossy:', JSON.stringify(read.structuredData)));
}
X
{ venv/bin/python write.py; node read.mjs; } | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
CEF: CEF:0|Example|IdP|1|login|Sign in|5|suser=alice reason=https://rp.example/cb?client\=shop&step\=2 cs1Label=client cs1=shop
pycef: reason https://rp.example/cb?client\=shop&step\=2 | cs1 None | client shop
syslog: [login@32473 user="alice" ip="192.0.2.1"] sign-in
syslog: [login@32473 user="al[i\]ce" ip="192.0.2.1"] sign-in
syslog: [login@32473 user="alice \"al\"" ip="192.0.2.1"] sign-in
nsyslog-parser: reason https://rp.example/cb?client\ | cs1 shop
nsyslog-parser: [{"$id":"login@32473","user":"alice","ip":"192.0.2.1"}]
glossy: {"login@32473":{"user":"alice","ip":"192.0.2.1"}}
nsyslog-parser: [{"$id":"login@32473","user":"al[i\\]ce","ip":"192.0.2.1"}]
glossy: {"login@32473":{"user":"al[i]ce","ip":"192.0.2.1"}}
nsyslog-parser: []
glossy: {"login@32473":{"user":"alice \"al\"","ip":"192.0.2.1"}}
X
echo "as described"
