use super::wire::wire_words;

wire_words! {
    /// What an authorization answer carries ([OAuth 2.0 Multiple Response Types]).
    ///
    /// [OAuth 2.0 Multiple Response Types]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html
    ResponseType {
        /// An authorization code and nothing else.
        Code = "code",
    }
}
