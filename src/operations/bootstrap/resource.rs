//! `[[resources]]`: one API, as the file declares it.

use super::toml_table::{SourceText, TomlTable};
use crate::domain::clients::ClientId;
use crate::domain::resources::{Resource, ResourceEntry};
use crate::protocol::{AccessTokenTyp, Scope};

const KEYS: &[&str] = &[
    "resource",
    "name",
    "scopes",
    "access_token_lifetime",
    "access_token_typ",
    "clients",
    "registered_clients",
];

/// Reads one table; `None` only after a complaint.
pub(super) fn read(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<Resource> {
    table.check_keys(&[KEYS], source);
    if !table.has("resource") {
        source.add_error(table.at, "resource: is required");
    }
    let entry = ResourceEntry {
        name: table.string("name", source).map(str::to_owned),
        scopes: read_scopes(table, source),
        access_token_lifetime: table.seconds("access_token_lifetime", source),
        access_token_typ: read_typ(table, source),
        clients: table.has("clients").then(|| read_clients(table, source).collect()),
        registered_clients: table.boolean("registered_clients", source),
    };
    let read = Resource { resource: table.string("resource", source)?.to_owned(), entry };
    if let Err(sentence) = read.check() {
        let member = sentence.split(':').next().unwrap_or_default();
        source.add_error(table.position(member), &sentence);
    }
    Some(read)
}

fn read_scopes(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Scope {
    let words = table.strings("scopes", source);
    let is_one = |word: &&str| word.parse::<Scope>().is_ok_and(|scope| scope.contains(word));
    if !words.iter().all(is_one) || words.len() > 50 {
        let rule = "scopes: must each be one word of printable ASCII, at most 50 of them";
        source.add_error(table.position("scopes"), rule);
    }
    words.into_iter().collect()
}

fn read_typ(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<AccessTokenTyp> {
    let typ = AccessTokenTyp::parse(table.string("access_token_typ", source)?);
    if typ.is_none() {
        let rule = "access_token_typ: must be \"at+jwt\" or \"JWT\"";
        source.add_error(table.position("access_token_typ"), rule);
    }
    typ
}

fn read_clients<'a>(
    table: TomlTable<'a>,
    source: &mut SourceText<'_>,
) -> impl Iterator<Item = ClientId> + use<'a> {
    let ids: Vec<_> = table.strings("clients", source).into_iter().map(ClientId::parse).collect();
    if ids.iter().any(Option::is_none) {
        source.add_error(table.position("clients"), "clients: must each be a client_id");
    }
    ids.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::bootstrap::Bootstrap;

    #[test]
    fn a_declared_api_has_all_that_the_file_says_of_it() {
        let file = r#"
[[resources]]
resource = "https://api.example"
name = "Orders"
scopes = ["orders.read", "orders.write"]
access_token_lifetime = 300
access_token_typ = "JWT"
clients = ["shop"]
registered_clients = true

[[resources]]
resource = "urn:example:plain"
"#;
        let resources = Bootstrap::parse(file).unwrap().catalogues().resources;
        let orders = resources.get("https://api.example").unwrap();
        assert_eq!(orders.name.as_deref(), Some("Orders"));
        assert_eq!(orders.scopes.to_string(), "orders.read orders.write");
        assert_eq!(
            (orders.access_token_lifetime, orders.registered_clients),
            (Some(300), Some(true))
        );
        assert_eq!(orders.access_token_typ, Some(AccessTokenTyp::Jwt));
        assert_eq!(orders.clients, Some([ClientId::parse("shop").unwrap()].into()));
        assert_eq!(resources.get("urn:example:plain"), Some(&ResourceEntry::default()));
    }

    #[test]
    fn what_is_wrong_with_an_api_or_a_scope_is_said_with_its_line() {
        for (lines, complaint) in [
            ("[[resources]]", "line 1: resource: is required"),
            ("[[resources]]\nresource = \"/api\"", "line 2: resource: must be an absolute URI"),
            (
                "[[resources]]\nresource = \"a:b\"\nscopes = [\"a b\"]",
                "line 3: scopes: must each be",
            ),
            (
                "[[resources]]\nresource = \"a:b\"\nclients = [\"a b\"]",
                "line 3: clients: must each be",
            ),
            (
                "[[resources]]\nresource = \"a:b\"\naccess_token_typ = \"x\"",
                "line 3: access_token_typ",
            ),
            (
                "[[resources]]\nresource = \"a:b\"\naccess_token_lifetime = 0",
                "line 3: access_token_lifetime",
            ),
            (
                "[[resources]]\nresource = \"a:b\"\naccess_token_lifetime = -1",
                "line 3: access_token_lifetime",
            ),
            ("[[resources]]\nresource = \"a:b\"\nname = \"\"", "line 3: name: must be"),
            (
                "[[resources]]\nresource = \"a:b\"\n[[resources]]\nresource = \"a:b\"",
                "line 4: resource: a:b is declared",
            ),
            (
                "[[scopes]]\nname = \"openid\"\nadvertised = false",
                "line 3: advertised: openid is always",
            ),
        ] {
            let found = Bootstrap::parse(lines).unwrap_err().0;
            assert!(found.len() == 1 && found[0].starts_with(complaint), "{lines}: {found:?}");
        }
    }
}
