//! `[admin]`: what operators do by two only.

use std::collections::BTreeSet;

use model::Permission;

use super::document::Texts;
use super::problem::{Found, Refusal};
use super::reference::Resolver;

/// The permissions whose routes need a second person.
pub(super) fn second_person(
    written: Option<&Texts>,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> BTreeSet<Permission> {
    let asked = gateway::api::admin::permissions();
    let known: Vec<&str> = asked.iter().map(|permission| permission.code()).collect();
    let mut permissions = BTreeSet::new();
    for written in written.iter().flat_map(|list| &list.value) {
        let Some(text) = resolver.text(written, found) else { continue };
        match text.parse() {
            Ok(permission) if asked.contains(&permission) => {
                permissions.insert(permission);
            }
            // One that nothing asks for would promise what is not so.
            _ => {
                let message = "no route for operators asks for such a permission";
                let fix = format!("write some of {}", known.join(", "));
                found.add(Refusal::UnknownPermission, &written.place, message, fix);
            }
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::document::At;
    use super::super::problem::Place;
    use super::super::reference::Variables;
    use super::*;

    fn check(texts: &[&str]) -> Result<BTreeSet<Permission>, Vec<Refusal>> {
        let at = |text: &str| At {
            value: text.to_owned(),
            place: Place { line: 1, key: "admin.second_person".into() },
        };
        let place = at("").place;
        let written = At { value: texts.iter().map(|text| at(text)).collect(), place };
        let variables = Variables::of(&[]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/") };
        let mut found = Found::default();
        let permissions = second_person(Some(&written), &resolver, &mut found);
        if found.is_empty() {
            return Ok(permissions);
        }
        Err(found.into_list().iter().map(|problem| problem.refusal).collect())
    }

    #[test]
    fn a_permission_is_one_that_operators_need() {
        assert_eq!(check(&[]), Ok(BTreeSet::new()));
        let both = [Permission::OperatorsChange, Permission::KeysChange].into();
        assert_eq!(check(&["operators:change", "keys:change"]), Ok(both));
        assert_eq!(check(&["audit:read"]), Ok([Permission::AuditRead].into()));
    }

    #[test]
    fn unknown_permissions_and_those_that_promise_nothing_are_refused() {
        for bad in ["", "keys", "keys:*", "KEYS:CHANGE", "events:decide"] {
            let refused = Err(vec![Refusal::UnknownPermission]);
            assert_eq!(check(&["keys:change", bad]), refused, "{bad}");
        }
    }
}
