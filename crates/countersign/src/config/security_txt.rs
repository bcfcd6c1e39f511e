//! `[server.security_txt]`: where whoever finds a weakness is to write (RFC 9116).

use gateway::{Clock, SecurityTxt};
use model::Timestamp;
use url::Url;

use super::document::{self, At};
use super::meaning::{Notice, Scope};
use super::problem::{Found, Refusal};
use super::reference::Resolver;

/// Whoever looks after it is told so many days before its end.
const NEAR_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// The file, if one is configured. That its end is near is noted.
pub(super) fn security_txt(
    written: Option<&document::SecurityTxt>,
    scope: &mut Scope<'_>,
) -> Option<SecurityTxt> {
    let now = Clock::System.now();
    judged(written?, now, scope.resolver, &mut scope.notices, scope.found)
}

fn judged(
    written: &document::SecurityTxt,
    now: Timestamp,
    resolver: &Resolver<'_>,
    notices: &mut Vec<Notice>,
    found: &mut Found,
) -> Option<SecurityTxt> {
    let contacts = written.contact.as_ref().map_or(&[][..], |list| &list.value);
    if contacts.is_empty() {
        let fix = "write contact = [\"mailto:security@…\"], or take the section out";
        let place = written.place.key("contact");
        found.add(Refusal::MissingKey, &place, "nobody is named who could be written to", fix);
    }
    let contacts: Vec<Option<String>> =
        contacts.iter().map(|contact| uri(contact, true, resolver, found)).collect();
    let expires = expires(written, now, resolver, notices, found);
    let policy = written.policy.as_ref().map(|policy| uri(policy, false, resolver, found));
    let contacts: Vec<String> = contacts.into_iter().collect::<Option<_>>()?;
    if contacts.is_empty() {
        return None;
    }
    let policy = policy.map_or(Some(None), |policy| policy.map(Some))?;
    Some(SecurityTxt::new(&contacts, expires?, policy.as_deref()))
}

/// A URI as it is written: of the web, or of a mailbox where that may be.
fn uri(
    written: &At<String>,
    or_mail: bool,
    resolver: &Resolver<'_>,
    found: &mut Found,
) -> Option<String> {
    let text = resolver.text(written, found)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_one = Url::parse(&text).is_ok_and(|url| match url.scheme() {
        "https" => url.has_host() && url.username().is_empty() && url.password().is_none(),
        "mailto" => {
            let parts = url.path().split_once('@');
            or_mail && parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        }
        _ => false,
    });
    if is_plain && is_one {
        return Some(text);
    }
    let (message, fix) = if or_mail {
        ("this is no contact", "write \"mailto:security@example.com\" or \"https://…\"")
    } else {
        ("this is no page of the web", "write \"https://…\"")
    };
    found.add(Refusal::BadSecurityTxt, &written.place, message, fix);
    None
}

/// Until when it is to be believed.
fn expires(
    written: &document::SecurityTxt,
    now: Timestamp,
    resolver: &Resolver<'_>,
    notices: &mut Vec<Notice>,
    found: &mut Found,
) -> Option<Timestamp> {
    let fix = "write expires = \"2027-01-01T00:00:00Z\", less than a year ahead";
    let Some(expires) = &written.expires else {
        let place = written.place.key("expires");
        found.add(Refusal::MissingKey, &place, "it is not said until when it holds", fix);
        return None;
    };
    let Ok(until) = resolver.text(expires, found)?.parse::<Timestamp>() else {
        found.add(Refusal::BadSecurityTxt, &expires.place, "this is no time", fix);
        return None;
    };
    if until <= now {
        let message = "this is over: nobody would believe the file any more";
        found.add(Refusal::SecurityTxtExpired, &expires.place, message, fix);
        return None;
    }
    if until <= now.plus_millis(NEAR_DAYS * DAY_MS) {
        let text = format!(
            "security.txt ends within {NEAR_DAYS} days: see that it is right, and write a later time"
        );
        notices.push(Notice::new(&expires.place, text));
    }
    Some(until)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::problem::Place;
    use super::super::reference::Variables;
    use super::*;

    const NOW_MS: i64 = 1_767_225_600_000;

    fn at<T>(value: T) -> At<T> {
        At { value, place: Place { line: 1, key: "server.security_txt".into() } }
    }

    /// Judges a section; gives what is refused, and how many notices there are.
    fn check(contact: &[&str], expires: &str, policy: Option<&str>) -> (Vec<Refusal>, usize) {
        let contact = contact.iter().map(|text| at((*text).to_owned())).collect();
        let written = document::SecurityTxt {
            place: at(()).place,
            contact: Some(at(contact)),
            expires: Some(at(expires.to_owned())),
            policy: policy.map(|text| at(text.to_owned())),
        };
        let variables = Variables::of(&[]);
        let resolver = Resolver { variables: &variables, folder: Path::new("/") };
        let (mut notices, mut found) = (Vec::new(), Found::default());
        let now = Timestamp::from_millis(NOW_MS);
        let file = judged(&written, now, &resolver, &mut notices, &mut found);
        assert_eq!(file.is_some(), found.is_empty());
        let refused = found.into_list().iter().map(|problem| problem.refusal).collect();
        (refused, notices.len())
    }

    const LATER: &str = "2026-12-31T00:00:00Z";
    const MAIL: &str = "mailto:security@shop.example";

    #[test]
    fn a_contact_is_a_mailbox_or_a_page() {
        for good in [&[MAIL][..], &["https://shop.example/report"], &[MAIL, "https://a.example/"]] {
            assert_eq!(check(good, LATER, None), (vec![], 0), "{good:?}");
        }
        let bad = [
            "",
            "security@shop.example",
            "mailto:",
            "mailto:security",
            "http://shop.example/",
            "https://",
            "https://user:word@shop.example/",
            "tel:+1-201-555-0123",
            "https://shop.example/a b",
            "https://shop.example/\nExpires: never",
            "javascript:alert(1)",
        ];
        for bad in bad {
            assert_eq!(check(&[MAIL, bad], LATER, None).0, [Refusal::BadSecurityTxt], "{bad}");
        }
        assert_eq!(check(&[], LATER, None).0, [Refusal::MissingKey]);
    }

    #[test]
    fn it_ends_later_than_now_and_it_is_said_when_that_is_near() {
        assert_eq!(check(&[MAIL], "2026-02-01T00:00:00Z", None), (vec![], 0));
        assert_eq!(check(&[MAIL], "2026-01-31T00:00:00Z", None), (vec![], 1));
        assert_eq!(check(&[MAIL], "2026-01-01T00:00:01Z", None), (vec![], 1));
        for over in ["2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"] {
            assert_eq!(check(&[MAIL], over, None).0, [Refusal::SecurityTxtExpired], "{over}");
        }
        for none in ["", "never", "2026", "2026-12-31"] {
            assert_eq!(check(&[MAIL], none, None).0, [Refusal::BadSecurityTxt], "{none}");
        }
    }

    #[test]
    fn a_policy_is_a_page() {
        assert_eq!(check(&[MAIL], LATER, Some("https://shop.example/policy")), (vec![], 0));
        for bad in [MAIL, "http://shop.example/", "policy.html", ""] {
            assert_eq!(check(&[MAIL], LATER, Some(bad)).0, [Refusal::BadSecurityTxt], "{bad}");
        }
    }
}
