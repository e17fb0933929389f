//! What is left in the store after a trace.

use std::time::Duration;

use super::runner::Runner;

/// What may stay for ever, and why.
const PERMANENT: [&str; 9] = [
    // Until the operator or the client itself removes them.
    "{client:}client.v1",
    "{clients}index.v1",
    "{origins}index.v2",
    // One record, from which keys go one by one.
    "{keyring}keyring.v1",
    // Until the operator removes them.
    "{user:}user.v1",
    "{username:}username.v1",
    "{users}index.v1",
    // As long as what it lists: each new entry takes out those that are over.
    "{sessions}index.v1",
    // One record, which says what shape all the others have.
    "{schema}schema.v1",
];

/// Longer than anything lives.
const MOST: Duration = Duration::from_secs(500 * 86_400);

/// **11, TTL.** Every key created has a TTL or is on the list; after the longest time only the list remains.
pub async fn only_the_list_remains(player: &Runner) -> Result<(), String> {
    player.harness.servers[0].advance_time(MOST);
    judge(&player.harness.backend.lasting().await)
}

/// What is not on the list.
pub fn judge(left: &[String]) -> Result<(), String> {
    let strange = |key: &&String| !PERMANENT.contains(&&*kind(key));
    match left.iter().find(strange) {
        Some(key) => Err(format!("invariant 11 is broken: {key} stays for ever")),
        None => Ok(()),
    }
}

/// `{user:ada}consent.v1/shop` is a `{user:}consent.v1`.
fn kind(key: &str) -> String {
    let Some((room, name)) = key.trim_start_matches('{').split_once('}') else { return key.into() };
    let room = room.split_once(':').map_or(room.to_owned(), |(room, _)| format!("{room}:"));
    format!("{{{room}}}{}", name.split('/').next().unwrap_or_default())
}
