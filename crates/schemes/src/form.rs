//! `application/x-www-form-urlencoded` pairs, and the parts of a URL, read strictly.

use std::borrow::Cow;

use crate::bounds::PAIRS_MAX;

/// A name and its value, decoded.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The pairs of a form body or of a query. None where an escape is broken, a name occurs twice, or
/// there are too many.
pub(crate) fn pairs(text: &[u8]) -> Option<Vec<Pair<'_>>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for piece in text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()) {
        let mut halves = piece.splitn(2, |&byte| byte == b'=');
        let name = decode(halves.next().unwrap_or_default())?;
        let value = decode(halves.next().unwrap_or_default())?;
        if pairs.len() >= PAIRS_MAX {
            return None;
        }
        pairs.push((name, value));
    }
    let mut names: Vec<&[u8]> = pairs.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let unique = !names.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    unique.then_some(pairs)
}

fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(Cow::Owned(out))
}

/// One value decoded from the pairs: none if absent, an error if the text is no form.
pub(crate) fn field<'a>(text: &'a [u8], name: &str) -> Result<Option<Cow<'a, [u8]>>, NoForm> {
    let pairs = pairs(text).ok_or(NoForm)?;
    Ok(pairs.into_iter().find(|(key, _)| key.as_ref() == name.as_bytes()).map(|(_, value)| value))
}

/// The text is no form, or a name occurs twice in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoForm;

/// A text in the form's encoding.
pub(crate) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The path of a URL, or of a request target.
pub(crate) fn path(url: &str) -> &str {
    let after_authority = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => url,
    };
    let end = after_authority.find(['?', '#']).unwrap_or(after_authority.len());
    match after_authority.get(..end) {
        Some("") | None => "/",
        Some(path) => path,
    }
}

/// What stands after the first `?` of a URL.
pub(crate) fn query(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    Some(query.split_once('#').map_or(query, |(query, _)| query))
}

/// The URL without its port.
pub(crate) fn without_port(url: &str) -> String {
    with_authority(url, |_, host, _| host.to_owned())
}

/// The URL with its port, the scheme's standard one if it names none.
pub(crate) fn with_port(url: &str) -> String {
    with_authority(url, |scheme, host, port| match (port, scheme) {
        (Some(port), _) => format!("{host}:{port}"),
        (None, "http") => format!("{host}:80"),
        (None, _) => format!("{host}:443"),
    })
}

fn with_authority(url: &str, change: impl Fn(&str, &str, Option<&str>) -> String) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    format!("{scheme}://{}{tail}", change(scheme, host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str, name: &str) -> Result<Option<String>, NoForm> {
        let value = field(text.as_bytes(), name)?;
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    #[test]
    fn fields_are_decoded_and_occur_once() {
        assert_eq!(value("a=1&b=x%2By+z%C3%A9&c=", "b"), Ok(Some("x+y zé".to_owned())));
        assert_eq!(value("a=1&c=", "c"), Ok(Some(String::new())));
        assert_eq!(value("a=1", "b"), Ok(None));
        for broken in ["a=1&a=2", "a=1&%61=2", "a=%", "a=%2", "a=%zz"] {
            assert_eq!(value(broken, "a"), Err(NoForm), "{broken}");
        }
        assert_eq!(pairs("a&".repeat(PAIRS_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn a_url_comes_apart() {
        assert_eq!(path("https://h.example/a/b?c=1#d"), "/a/b");
        assert_eq!(path("https://h.example?c=1"), "/");
        assert_eq!(path("/a?b"), "/a");
        assert_eq!(query("https://h.example/a?b=1&c=2#d"), Some("b=1&c=2"));
        assert_eq!(query("/a"), None);
        assert_eq!(without_port("https://h.example:8443/a:1"), "https://h.example/a:1");
        assert_eq!(with_port("https://h.example/a"), "https://h.example:443/a");
        assert_eq!(with_port("http://h.example:81?x"), "http://h.example:81?x");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..100), url in ".*") {
            let _ = pairs(&text);
            let _ = (path(&url), query(&url), without_port(&url), with_port(&url));
        }
    }
}
