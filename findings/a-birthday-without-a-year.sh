#!/usr/bin/env bash
# The two short forms of OpenID Connect's birthdate, read by the usual date types.
#
# Guess:   "0000-10-31" (the person keeps the year to themselves) and "1990" (the year is all there is) are
#          either read as what they are or refused.
# Really:  Day.js makes 31 October 1900 of the first and 1 March 1900 of "0000-02-29"; java.sql.Date prints
#          the year 0001; pydantic and Django refuse year 0, and with it the whole userinfo answer if it is
#          one model. "1990" is 00:33:10 on 1 January 1970 to pydantic's datetime (a number of seconds),
#          is refused by its date and by java.time, and 1 January 1990 to Day.js and luxon.
# Versions: pydantic 2.14.4, Django 5.2.19, dayjs 1.11.23, luxon 3.7.2, JDK 17.
# Meaning: all three forms are valid (OpenID Connect Core 5.1). A relying party keeps the claim as text and
#          splits it itself. A provider that lets people leave the year out should know that some
#          applications will show a wrong one, and others will fail at the sign-in.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install pydantic==2.14.4 Django==5.2.19
npm init -y >/dev/null; npm install --no-audit --no-fund --silent dayjs@1.11.23 luxon@3.7.2

cat > read.py <<'X'
import datetime
import django
import pydantic
from django.utils.dateparse import parse_date
print("pydantic", pydantic.VERSION, "Django", django.__version__)
def say(library, text, read):
    try: said = str(read(text))
    except ValueError: said = "refused"
    print(f"{library} | {text} | {said}")
for text in ("0000-10-31", "0000-02-29", "1990"):
    say("pydantic date", text, pydantic.TypeAdapter(datetime.date).validate_python)
    say("pydantic datetime", text, pydantic.TypeAdapter(datetime.datetime).validate_python)
    say("Django parse_date", text, parse_date)
X
cat > read.mjs <<'X'
import fs from 'node:fs';
import dayjs from 'dayjs';
import { DateTime } from 'luxon';
const version = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
console.log('dayjs', version('dayjs'), 'luxon', version('luxon'));
for (const text of ['0000-10-31', '0000-02-29', '1990']) {
  console.log(`dayjs | ${text} | ${dayjs(text).format('YYYY-MM-DD')}`);
  console.log(`luxon | ${text} | ${DateTime.fromISO(text).toISODate()}`);
}
X
cat > Read.java <<'X'
class Read {
    public static void main(String[] args) {
        System.out.println("JDK " + Runtime.version().feature());
        for (String text : new String[] {"0000-10-31", "0000-02-29", "1990"}) {
            try {
                var date = java.time.LocalDate.parse(text);
                System.out.println("java.time | " + text + " | " + date);
                System.out.println("java.sql | " + text + " | " + java.sql.Date.valueOf(date));
            } catch (java.time.format.DateTimeParseException error) {
                System.out.println("java.time | " + text + " | refused");
            }
        }
    }
}
X
{ venv/bin/python read.py; node read.mjs; java Read.java; } > said
cat said
diff - <(grep '|' said) <<'X' || { echo "CHANGED"; exit 1; }
pydantic date | 0000-10-31 | refused
pydantic datetime | 0000-10-31 | refused
Django parse_date | 0000-10-31 | refused
pydantic date | 0000-02-29 | refused
pydantic datetime | 0000-02-29 | refused
Django parse_date | 0000-02-29 | refused
pydantic date | 1990 | refused
pydantic datetime | 1990 | 1970-01-01 00:33:10+00:00
Django parse_date | 1990 | None
dayjs | 0000-10-31 | 1900-10-31
luxon | 0000-10-31 | 0000-10-31
dayjs | 0000-02-29 | 1900-03-01
luxon | 0000-02-29 | 0000-02-29
dayjs | 1990 | 1990-01-01
luxon | 1990 | 1990-01-01
java.time | 0000-10-31 | 0000-10-31
java.sql | 0000-10-31 | 0001-10-31
java.time | 0000-02-29 | 0000-02-29
java.sql | 0000-02-29 | 0001-02-29
java.time | 1990 | refused
X
echo "as described"
