use super::string_enum::string_enum;

string_enum! {
    /// How an access token may be asked for ([RFC 6749 §1.3](https://www.rfc-editor.org/rfc/rfc6749#section-1.3)).
    GrantType {
        /// RFC 6749 §4.1
        AuthorizationCode = "authorization_code",
        /// RFC 6749 §4.2: never sent to the token endpoint; clients register it to get tokens from the authorization
        /// endpoint.
        Implicit = "implicit",
        /// RFC 6749 §4.4
        ClientCredentials = "client_credentials",
        /// RFC 6749 §6
        RefreshToken = "refresh_token",
    }
}

impl GrantType {
    /// The parameters of token requests, of whichever grant type.
    pub const PARAMETERS: [&str; 8] = [
        "audience",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "resource",
        "scope",
    ];
}
