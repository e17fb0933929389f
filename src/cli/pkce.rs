use crate::infra::secret::{Digest, Secret};

/// A fresh verifier and its S256 challenge ([RFC 7636 §4](https://www.rfc-editor.org/rfc/rfc7636#section-4)).
pub(super) fn print() -> String {
    let verifier = Secret::random().reveal();
    let challenge = Digest::of(verifier.as_bytes()).to_base64url();
    format!("code_verifier={verifier}\ncode_challenge={challenge}\ncode_challenge_method=S256")
}
