# Settings to run the OpenID Foundation's conformance suite against Latchkey; README.md, "Certification",
# says how. Every secret here is public: never use one of them for anything else.

# The suite has to reach this name, and wants https.
ISSUER_URL=https://op.localtest:9443
LISTEN=0.0.0.0:9443
TLS_CERT_PATH=conformance/cert.pem
TLS_KEY_PATH=conformance/key.pem
# What is in there is worth nothing.
STORE_URL=memory:
SECRET_KEY=public-conformance-key-never-use-it-elsewhere

# The suite's clients register themselves, for every response type there is, and begin a sign-in for each
# of some hundred modules.
REGISTRATION=open
RESPONSE_TYPES='code,none,id_token,id_token token,code id_token,code token,code id_token token'
RATE_LIMITING_ENABLED=false
REGISTRATION_LOGOS=true
# One of the modules sends neither PKCE nor a nonce (oidcc-ensure-request-without-nonce-succeeds-for-code-flow).
REQUIRE_PKCE=public

# The test user and the clients of the plans with `static_client`.
BOOTSTRAP_FILE=conformance/bootstrap.toml

# The suite's own host, where its clients keep keys and request objects: on this machine, with a certificate
# that nobody signed.
OUTGOING_CA_FILE=conformance/suite-ca.pem
OUTGOING_ALLOW_PRIVATE=localhost.emobix.co.uk,localhost
