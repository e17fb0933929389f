//! Changes the name, claims and groups of a user, each by itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{check_claims, find, user_removed, view};
use crate::domain::events::UserChange;
use crate::domain::users::{self, User};
use crate::operations::{Context, Operation, OperationError, UserView};

/// Changes a user; what is absent stays.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Set {
    /// User name or subject.
    pub user: String,
    /// Claims; `null` takes one away. An address that is new is one that nobody has verified.
    pub claims: Map<String, Value>,
    /// Their groups, in place of all there are.
    pub groups: Option<Vec<String>>,
    /// Groups to put them in.
    pub add_groups: Vec<String>,
    /// Groups to take them out of.
    pub remove_groups: Vec<String>,
}

impl Operation for Set {
    const NAME: &'static str = "user-set";
    /// The person, and whether anything is different now.
    type Output = (UserView, bool);

    async fn run(self, context: &Context<'_>) -> Result<(UserView, bool), OperationError> {
        let given = self.claims.iter().filter(|(_, value)| !value.is_null());
        check_claims(given)?;
        let user = find(context.store, &self.user).await?;
        let (mut after, mut changed) = (user.clone(), false);
        let step = |held: &mut User| {
            let before = held.clone();
            self.apply(held);
            changed = *held != before;
            after = held.clone();
        };
        users::update(context.store, &user.sub, step).await?.ok_or_else(user_removed)?;
        if changed {
            context.user_changed(user.sub.as_str(), UserChange::Updated);
        }
        Ok((view(context.store, after).await?, changed))
    }
}

impl Set {
    fn apply(&self, user: &mut User) {
        let before = user.claims.clone();
        for (name, value) in &self.claims {
            if value.is_null() {
                user.claims.remove(name);
            } else {
                user.claims.insert(name.clone(), value.clone());
            }
        }
        for (claim, verified) in
            [("email", "email_verified"), ("phone_number", "phone_number_verified")]
        {
            if user.claims.get(claim) != before.get(claim) && !self.claims.contains_key(verified) {
                user.claims.remove(verified);
            }
        }
        if let Some(groups) = &self.groups {
            user.groups.clone_from(groups);
        }
        user.groups.retain(|group| !self.remove_groups.contains(group));
        for group in &self.add_groups {
            if !user.groups.contains(group) {
                user.groups.push(group.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::infra::clock::UnixTime;
    use crate::protocol::Subject;

    fn user() -> User {
        User {
            sub: Subject::parse("a1").unwrap(),
            username: "ada".to_owned(),
            password: None,
            enabled: true,
            claims: Map::from_iter([
                ("email".to_owned(), json!("ada@a.example")),
                ("email_verified".to_owned(), json!(true)),
            ]),
            groups: vec!["staff".to_owned()],
            created_at: UnixTime::from_secs(1_700_000_000),
            development: false,
            declared: None,
        }
    }

    fn set(claims: &[(&str, Value)]) -> Set {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Set { claims: claims.collect(), ..Set::default() }
    }

    #[test]
    fn a_new_address_is_not_verified_and_the_same_one_stays_so() {
        for (set, verified) in [
            (set(&[("email", json!("ada@a.example"))]), Some(true)),
            (set(&[("email", json!("ada@b.example"))]), None),
            (set(&[("email", Value::Null)]), None),
            (
                set(&[("email", json!("ada@b.example")), ("email_verified", json!(true))]),
                Some(true),
            ),
            (set(&[("locale", json!("en"))]), Some(true)),
        ] {
            let mut user = user();
            set.apply(&mut user);
            let found = user.claims.get("email_verified").and_then(Value::as_bool);
            assert_eq!(found, verified, "{set:?}");
        }
    }

    #[test]
    fn groups_are_replaced_then_taken_away_then_added_once() {
        let named =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut user = user();
        let set = Set {
            groups: Some(named(&["a", "b"])),
            remove_groups: named(&["a"]),
            add_groups: named(&["b", "c"]),
            ..Set::default()
        };
        set.apply(&mut user);
        assert_eq!(user.groups, ["b", "c"]);
    }
}
