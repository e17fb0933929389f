#!/usr/bin/env bash
# An all-ASCII mail address goes into a Python model and comes out as one that needs SMTPUTF8.
#
# Guess:   validating alice@xn--bcher-kva.de returns what was given (or lower-cases the domain): it is the
#          ASCII form, which every program takes.
# Really:  email-validator, and so pydantic's EmailStr, return alice@bücher.de. Python's own smtplib
#          refuses to send to that unless the server offers SMTPUTF8, while the given form is
#          delivered; zod's e-mail type in a TypeScript service behind it refuses it; the text no longer
#          equals the identity provider's claim. EmailStr takes the Unicode form too: to it both are one
#          address, to a database that compares text they are two.
# Versions: email-validator 2.4.0, pydantic 2.14.4, aiosmtpd 1.4.6, zod 4.6.7, Python 3.11.
# Meaning: who links accounts by e-mail address compares the domain in its A-label form. A relying party
#          written with pydantic takes validate_email(...).ascii_email for sending, and keeps the claim as
#          it came for comparing. A provider sends one form in all tokens and does not switch.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install email-validator==2.4.0 pydantic==2.14.4 aiosmtpd==1.4.6
npm init -y >/dev/null; npm install --no-audit --no-fund --silent zod@4.6.7
cat > send.py <<'X'
import smtplib, socket
from email.message import EmailMessage
import pydantic
from aiosmtpd.controller import Controller
class Account(pydantic.BaseModel):
    email: pydantic.EmailStr
class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        print("   delivered to", envelope.rcpt_tos); return "250 OK"
with socket.create_server(("127.0.0.1", 0)) as free: port = free.getsockname()[1]
server = Controller(Mailbox(), hostname="127.0.0.1", port=port, enable_SMTPUTF8=False)
server.start()
given = "alice@xn--bcher-kva.de"
kept = Account(email=given).email
print("given ", given); print("kept  ", kept); print("same as the Unicode form", kept == Account(email="alice@bücher.de").email)
for address in (given, kept):
    message = EmailMessage(); message["From"] = "login@op.example"; message["To"] = address
    message["Subject"] = "Sign in"; message.set_content("Hello")
    print("sending to", address)
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        try: smtp.send_message(message)
        except smtplib.SMTPNotSupportedError: print("   not sent: SMTPNotSupportedError")
server.stop()
open("kept", "w").write(kept)
X
cat > read.mjs <<'X'
import fs from 'node:fs';
import { z } from 'zod';
console.error('zod', JSON.parse(fs.readFileSync('node_modules/zod/package.json')).version);
for (const address of ['alice@xn--bcher-kva.de', fs.readFileSync('kept', 'utf8')])
  console.log('zod', address, z.email().safeParse(address).success ? 'accepted' : 'refused');
X
{ venv/bin/python send.py; node read.mjs; } | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
given  alice@xn--bcher-kva.de
kept   alice@bücher.de
same as the Unicode form True
sending to alice@xn--bcher-kva.de
   delivered to ['alice@xn--bcher-kva.de']
sending to alice@bücher.de
   not sent: SMTPNotSupportedError
zod alice@xn--bcher-kva.de accepted
zod alice@bücher.de refused
X
echo "as described"
