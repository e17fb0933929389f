use super::{User, Username, canonical, find, index, username_key};
use crate::infra::store::{Store, StoreError};
use crate::protocol::Subject;

/// The next subjects in the index after this one; none at the end. The index may list too many.
pub async fn list_subjects(
    store: &dyn Store,
    after: Option<&Subject>,
) -> Result<Vec<Subject>, StoreError> {
    let mut after = after.map(|sub| sub.as_str().to_owned()).unwrap_or_default();
    loop {
        let names = store.scan_index(&index(), &after, 200).await?;
        let Some(last) = names.last().cloned() else { return Ok(Vec::new()) };
        let subs: Vec<_> = names.iter().filter_map(|name| Subject::parse(name)).collect();
        if !subs.is_empty() {
            return Ok(subs);
        }
        after = last;
    }
}

/// Another user in this store who has the user name of this one.
pub async fn username_owner(store: &dyn Store, user: &User) -> Result<Option<Subject>, StoreError> {
    let holder = super::find_by_username(store, &user.username).await?;
    Ok(holder.map(|holder| holder.sub).filter(|sub| *sub != user.sub))
}

/// Writes exactly this record, its user name and its index entry, whatever was stored of this user.
pub async fn restore(store: &dyn Store, user: &User) -> Result<(), StoreError> {
    let name = Username { canonical: canonical(&user.username), sub: user.sub.clone() };
    let held = find(store, &user.sub).await?.map(|held| canonical(&held.username));
    store.put(&name).await?;
    store.index_add(&index(), user.sub.as_str()).await?;
    store.put(user).await?;
    if let Some(before) = held.filter(|before| *before != name.canonical) {
        // The user name it had here, unless another user has it now.
        store.remove_if(&username_key(&before), |it| it.sub == user.sub).await?;
    }
    Ok(())
}
