//! `latchkey scope`.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::operator::Operator;
use super::output;
use crate::operations::resources;
use crate::operations::scopes::{Add, List, ScopeView};

/// What can be done with scopes.
#[derive(Debug, Subcommand)]
pub enum ScopeCommand {
    /// List every scope there is
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Add a scope, or claims to one that is there
    Add {
        /// Its name
        scope: String,
        /// What the consent page says
        #[arg(long)]
        description: Option<String>,
        /// A claim it exposes; as often as needed
        #[arg(long = "claim", value_name = "CLAIM")]
        claims: Vec<String>,
        /// Whether discovery names it; it does not if nothing is said
        #[arg(long, value_name = "true|false")]
        advertised: Option<bool>,
    },
}

pub(super) async fn run(command: ScopeCommand, operator: &Operator) -> Result<String, CliError> {
    match command {
        ScopeCommand::List { json } => {
            let scopes = operator.run(List {}).await?;
            Ok(output::render_list(&scopes, json, object, line))
        }
        ScopeCommand::Add { scope, description, claims, advertised } => {
            let name = scope.clone();
            let changed = operator.run(Add { scope, description, claims, advertised }).await?;
            let outcome = if changed { "added" } else { "nothing to change about" };
            Ok(format!("{outcome} {name}"))
        }
    }
}

/// Says which words of a client's scope mean nothing here: they may be an API's own, or misspelt.
pub(super) async fn warn_unknown_scopes(
    operator: &Operator,
    scope: Option<&str>,
) -> Result<(), CliError> {
    let Some(scope) = scope else { return Ok(()) };
    let known = operator.run(List {}).await?;
    let apis = operator.run(resources::List {}).await?;
    let is_known = |word: &str| {
        known.iter().any(|it| it.scope == word)
            || apis.iter().any(|it| it.entry.scopes.contains(word))
    };
    for word in scope.split(' ').filter(|word| !is_known(word)) {
        let word = output::printable(word);
        let _ = writeln!(
            std::io::stderr(),
            "note: no scope {word} is known here (scope list): it gives no claim, and pages have no words for \
             it; for the latter, and a claim, latchkey scope add {word}"
        );
    }
    Ok(())
}

/// Warns about claims of a scope that no client can read.
pub(super) async fn warn_unexposed_claims(
    operator: &Operator,
    claims: &[String],
) -> Result<(), CliError> {
    if claims.is_empty() {
        return Ok(());
    }
    let scopes = operator.run(List {}).await?;
    let gives = |claim: &String| scopes.iter().any(|it| it.claims.contains(claim));
    for claim in claims.iter().filter(|claim| !gives(claim)) {
        let claim = output::printable(claim);
        let _ = writeln!(
            std::io::stderr(),
            "note: no scope gives the claim {claim}, so nobody will see it; latchkey scope add NAME --claim \
             {claim} makes one that does"
        );
    }
    Ok(())
}

fn object(it: &ScopeView) -> Value {
    json!({
        "scope": it.scope,
        "description": it.description,
        "claims": it.claims,
        "advertised": it.advertised,
    })
}

fn line(it: &ScopeView) -> String {
    let description = it.description.as_deref().map(|text| format!("  {text}")).unwrap_or_default();
    let claims = it.claims.join(" ");
    let claims = if claims.is_empty() { claims } else { format!("  [{claims}]") };
    let hidden = if it.advertised { "" } else { "  not advertised" };
    output::printable(&format!("{}{claims}{description}{hidden}", it.scope))
}
