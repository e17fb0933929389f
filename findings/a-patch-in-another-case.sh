#!/usr/bin/env bash
# One SCIM PATCH, two libraries, two users.
#
# Guess:   attribute names and an unmarked string's values compare without case (RFC 7643 sections 2.1 and
#          2.2), so "username", EMAILS[TYPE EQ "work"] and type eq "WORK" mean what they mean in any
#          other spelling, to every library; what a filter that matches nothing does is settled as well.
# Really:  scim-patch (npm) compares bytes: the patch succeeds, userName keeps its value and the user has a
#          new attribute "username", a new list "EMAILS", a second mail address of type "WORK". Entra's
#          "False" for active stays a string, which is true in JavaScript. scim2-models (Python)
#          does all four as the RFC says. For 'add emails[type eq "home"].value' with no such address,
#          Entra's usual one, it is the other way round: scim-patch makes the address, scim2-models
#          raises noTarget.
# Versions: scim-patch 0.8.3, scim2-models 0.12.3.
# Meaning: a 200 for a PATCH does not say that the attribute changed: read the user back in a provisioning
#          test, with the names in the directory's spelling. A provider bound to such a library brings
#          names to the schema's spelling and booleans to booleans before it patches.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install scim2-models==0.12.3
npm init -y >/dev/null; npm install --no-audit --no-fund --silent scim-patch@0.8.3
cat > operations.json <<'X'
[
  {"op": "replace", "path": "username", "value": "alicia"},
  {"op": "replace", "path": "EMAILS[TYPE EQ \"work\"].VALUE", "value": "new@example.org"},
  {"op": "replace", "path": "emails[type eq \"WORK\"].value", "value": "new@example.org"},
  {"op": "Replace", "path": "active", "value": "False"},
  {"op": "Add", "path": "emails[type eq \"home\"].value", "value": "home@example.org"}
]
X
cat > patch.mjs <<'X'
import fs from 'node:fs';
import { scimPatch } from 'scim-patch';
for (const operation of JSON.parse(fs.readFileSync('operations.json'))) {
  const user = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'alice', active: true, emails: [{ type: 'work', value: 'old@example.org' }] };
  const { schemas, ...rest } = scimPatch(user, [operation]);
  console.log('scim-patch', JSON.stringify(rest));
}
X
cat > patch.py <<'X'
import json
from scim2_models import PatchOp, SCIMException, User
for operation in json.load(open("operations.json")):
    user = User(user_name="alice", active=True, emails=[{"type": "work", "value": "old@example.org"}])
    try:
        PatchOp[User].model_validate({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}).patch(user)
        said = {"userName": user.user_name, "active": user.active, "emails": [{"type": e.type.value, "value": e.value} for e in user.emails]}
        print("scim2-models", json.dumps(said, separators=(",", ":")))
    except SCIMException as error: print("scim2-models", "refused", error.scim_type)
X
{ node patch.mjs; venv/bin/python patch.py; } > said
cat said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
scim-patch {"userName":"alice","active":true,"emails":[{"type":"work","value":"old@example.org"}],"username":"alicia"}
scim-patch {"userName":"alice","active":true,"emails":[{"type":"work","value":"old@example.org"}],"EMAILS":[{"TYPE":"work","VALUE":"new@example.org"}]}
scim-patch {"userName":"alice","active":true,"emails":[{"type":"work","value":"old@example.org"},{"type":"WORK","value":"new@example.org"}]}
scim-patch {"userName":"alice","active":"False","emails":[{"type":"work","value":"old@example.org"}]}
scim-patch {"userName":"alice","active":true,"emails":[{"type":"work","value":"old@example.org"},{"type":"home","value":"home@example.org"}]}
scim2-models {"userName":"alicia","active":true,"emails":[{"type":"work","value":"old@example.org"}]}
scim2-models {"userName":"alice","active":true,"emails":[{"type":"work","value":"new@example.org"}]}
scim2-models {"userName":"alice","active":true,"emails":[{"type":"work","value":"new@example.org"}]}
scim2-models {"userName":"alice","active":false,"emails":[{"type":"work","value":"old@example.org"}]}
scim2-models refused noTarget
X
echo "as described"
