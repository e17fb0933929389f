use crate::domain::clients::Client;
use crate::http::authorization_response::with_query;
use crate::protocol::Params;

/// The address that the browser is redirected to after the logout, with the `state` of the request.
///
/// The only way to get one is to name a registered URI, exactly ([RP-Initiated Logout §3]): an address
/// with a query added, or of another client, is none.
///
/// [RP-Initiated Logout §3]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RedirectionAfterLogout
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostLogoutRedirect {
    uri: String,
    state: Option<String>,
}

impl PostLogoutRedirect {
    /// Finds the requested URI among those of the client.
    pub fn resolve(asked: &str, params: &Params, client: &Client) -> Option<Self> {
        let registered = &client.metadata.post_logout_redirect_uris;
        let uri = registered.iter().find(|uri| *uri == asked)?.clone();
        Some(Self { uri, state: params.get("state").map(str::to_owned) })
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The client's `state`, unchanged.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The URL to redirect to: `state` is added if it was sent, and nothing else.
    pub fn href(&self) -> String {
        match &self.state {
            Some(state) => with_query(&self.uri, &[("state".to_owned(), state.clone())]),
            None => self.uri.clone(),
        }
    }
}
