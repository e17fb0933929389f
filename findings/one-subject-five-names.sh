#!/usr/bin/env bash
# tls_client_auth_subject_dn: one certificate, and five libraries write its subject five ways.
#
# Guess:   RFC 8705 asks for the RFC 4514 string of the subject; the string that one library prints is
#          the string that another would.
# Really:  for a plain subject (C, O, OU, CN, serialNumber, e-mail address) no two agree. Java's RFC 2253 form
#          hex-encodes every attribute it has no short name for, serialNumber too. pyca/cryptography writes
#          the same numbers with the text. Go knows SERIALNUMBER and moves the e-mail address to the other
#          end, since its pkix.Name has a fixed order, and encodes it as UTF8String although the certificate
#          has IA5String. OpenSSL gives both names. Node is multi-line and in the other direction.
#          Java's own comparison (X500Principal.equals) finds them equal, except Go's.
# Versions: cryptography 50.0.2, Go 1.26, JDK 17, Node.js 20, OpenSSL 3 (printed below).
# Meaning: a subject registered from one tool's output does not match another's byte for byte. A provider
#          compares parsed names (attribute types by number, values by their matching rule), not strings,
#          and says in its guide with which command the string is to be made; or people register a SAN
#          (tls_client_auth_san_dns) or a self-signed certificate instead.
set -euo pipefail
dir=$(mktemp -d); trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install cryptography==50.0.2
cat > make.py <<'X'
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID as N
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(o, v) for o, v in ((N.COUNTRY_NAME, "DE"), (N.ORGANIZATION_NAME, "Example, Inc."),
    (N.ORGANIZATIONAL_UNIT_NAME, "Payments"), (N.COMMON_NAME, "client one"), (N.SERIAL_NUMBER, "4711"),
    (N.EMAIL_ADDRESS, "ops@example.com"))])
now = datetime.datetime.now(datetime.timezone.utc)
cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256()))
open("client.pem", "wb").write(cert.public_bytes(serialization.Encoding.PEM))
print("cryptography |", cert.subject.rfc4514_string())
X
cat > main.go <<'X'
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

func main() {
	text, _ := os.ReadFile("client.pem")
	block, _ := pem.Decode(text)
	cert, _ := x509.ParseCertificate(block.Bytes)
	fmt.Println("Go |", cert.Subject)
}
X
cat > Names.java <<'X'
import java.io.FileInputStream;
import java.nio.file.*;
import java.security.cert.*;
import javax.security.auth.x500.X500Principal;
class Names {
    public static void main(String[] args) throws Exception {
        var subject = ((X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new FileInputStream("client.pem"))).getSubjectX500Principal();
        System.out.println("Java | " + subject.getName(X500Principal.RFC2253));
        for (String line : Files.readAllLines(Path.of("said"))) {
            String[] part = line.split(" \\| ", 2);
            if (!part[0].equals("Node"))
                System.out.println("equal to Java, " + part[0] + " | " + new X500Principal(part[1]).equals(subject));
        }
    }
}
X
venv/bin/python make.py > said
openssl x509 -in client.pem -noout -subject -nameopt RFC2253 | sed 's/^subject=/OpenSSL | /' >> said
node -e 'console.log("Node |", JSON.stringify(new (require("crypto").X509Certificate)(require("fs").readFileSync("client.pem")).subject))' >> said
go run main.go >> said
java Names.java > java; cat java >> said
openssl version; go version; node --version; java -version 2>&1 | head -1; cat said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
cryptography | 1.2.840.113549.1.9.1=ops@example.com,2.5.4.5=4711,CN=client one,OU=Payments,O=Example\, Inc.,C=DE
OpenSSL | emailAddress=ops@example.com,serialNumber=4711,CN=client one,OU=Payments,O=Example\, Inc.,C=DE
Node | "C=DE\nO=Example\\, Inc.\nOU=Payments\nCN=client one\nserialNumber=4711\nemailAddress=ops@example.com"
Go | SERIALNUMBER=4711,CN=client one,OU=Payments,O=Example\, Inc.,C=DE,1.2.840.113549.1.9.1=#0c0f6f7073406578616d706c652e636f6d
Java | 1.2.840.113549.1.9.1=#160f6f7073406578616d706c652e636f6d,2.5.4.5=#130434373131,CN=client one,OU=Payments,O=Example\, Inc.,C=DE
equal to Java, cryptography | true
equal to Java, OpenSSL | true
equal to Java, Go | false
X
echo "as described"
