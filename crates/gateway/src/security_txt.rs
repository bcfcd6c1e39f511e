//! Where whoever finds a weakness of this installation is to write: `/.well-known/security.txt`
//! (RFC 9116). It is served where it is configured, by every listener, and nowhere else.

use bytes::Bytes;
use http::{Method, Request};
use model::Timestamp;

use crate::answer::{self, Answer};

const PATH: &str = "/.well-known/security.txt";

/// The file, as it is served.
#[derive(Debug, Clone)]
pub struct SecurityTxt(Bytes);

impl SecurityTxt {
    /// The file of these contacts, the preferred one first, and of a policy if there is one: URIs,
    /// without white space or line ends. Until when it is to be believed goes with it.
    pub fn new(contacts: &[String], expires: Timestamp, policy: Option<&str>) -> Self {
        let mut text = String::new();
        for contact in contacts {
            text.push_str(&format!("Contact: {contact}\n"));
        }
        text.push_str(&format!("Expires: {expires}\n"));
        if let Some(policy) = policy {
            text.push_str(&format!("Policy: {policy}\n"));
        }
        Self(Bytes::from(text))
    }

    /// The answer to a request for it; none to any other request.
    pub(crate) fn answer<B>(file: Option<&Self>, request: &Request<B>) -> Option<Answer> {
        let file = file?;
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        (is_read && request.uri().path() == PATH).then(|| answer::security_txt(file.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_of_the_rfc() {
        let contacts =
            ["mailto:security@shop.example".to_owned(), "https://shop.example/report".to_owned()];
        let expires = Timestamp::from_millis(1_798_761_600_000);
        let file = SecurityTxt::new(&contacts, expires, Some("https://shop.example/policy"));
        assert_eq!(
            file.0,
            "Contact: mailto:security@shop.example\nContact: https://shop.example/report\n\
             Expires: 2027-01-01T00:00:00.000Z\nPolicy: https://shop.example/policy\n"
        );
    }

    #[test]
    fn only_who_reads_it_gets_it() {
        let file = SecurityTxt::new(&[], Timestamp::from_millis(0), None);
        let asks = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).expect("a request");
            SecurityTxt::answer(Some(&file), &request).is_some()
        };
        assert!(
            asks("GET", PATH) && asks("HEAD", PATH) && asks("GET", "/.well-known/security.txt?a")
        );
        assert!(!asks("POST", PATH) && !asks("GET", "/security.txt"));
        assert!(
            !asks("GET", "/.well-known/security.txt/")
                && !asks("GET", "/.well-known//security.txt")
        );
        let request = Request::builder().uri(PATH).body(()).expect("a request");
        assert!(SecurityTxt::answer(None, &request).is_none());
    }
}
