//! Makes correctly signed requests: for the command `sign`, for simulators, for tests.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;

use crate::engine;
use crate::form;
use crate::json::{Document, Kind, Pointer, Value, write_text};
use crate::key::{Algorithm, check_text};
use crate::profile::Profile;
use crate::request::Request;
use crate::scheme::{Alternative, Fresh, Scheme, SignedTime};
use crate::secret::{Secret, SecretError, SecretFault};
use crate::source::{Place, Scope};

/// A request to be signed.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The URL that it is sent to, as it is registered with the provider.
    pub url: &'a str,
    /// Headers that are given, such as a `webhook-id`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// The time to sign.
    pub now_ms: i64,
    /// Used where the scheme signs the id of a message and no header gives one.
    pub id: &'a str,
}

/// What to add to a draft.
pub struct Signed {
    /// Headers to add, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, changed where the signature lives in it.
    pub body: Vec<u8>,
}

/// Why a draft cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignError {
    /// The secret is not one of this provider's.
    Secret(SecretError),
    /// The scheme cannot be signed here, and why.
    Unsupported(&'static str),
    /// The body has no place for the signature, or is not what the scheme signs.
    Body(&'static str),
    /// A value that the scheme signs was not given: which.
    Missing(String),
}

impl SignError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            Self::Unsupported(_) => "unsupported_scheme",
            Self::Body(_) => "unsuitable_body",
            Self::Missing(_) => "missing_value",
        }
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(error) => error.fmt(f),
            Self::Unsupported(why) => write!(f, "cannot sign for this scheme: {why}"),
            Self::Body(why) => write!(f, "cannot sign this body: {why}"),
            Self::Missing(what) => write!(f, "the scheme signs {what}: give it"),
        }
    }
}

impl std::error::Error for SignError {}

/// Signs a draft as the provider would.
pub fn sign(profile: &Profile, secret: &Secret, draft: Draft<'_>) -> Result<Signed, SignError> {
    sign_by(profile.scheme(), secret, draft)
}

pub(crate) fn sign_by(
    scheme: &Scheme,
    secret: &Secret,
    draft: Draft<'_>,
) -> Result<Signed, SignError> {
    check_text(0, secret.text()).map_err(SignError::Secret)?;
    let (alternative, signer) = signer(scheme, secret)?;
    let mut headers = variable_headers(scheme, alternative, &draft)?;
    let text = |pair: &(String, String)| (pair.0.clone(), pair.1.clone().into_bytes());
    let all: Vec<(String, Vec<u8>)> = draft
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .chain(headers.iter().map(text))
        .collect();
    let borrowed: Vec<(&str, &[u8])> =
        all.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let request =
        Request { method: draft.method, url: draft.url, headers: &borrowed, body: draft.body };

    let document = Document::parse(draft.body).ok();
    let signer =
        Signer { scheme, alternative, signer, request: &request, document: document.as_ref() };
    let mut body = draft.body.to_vec();
    match alternative.signature.source.places.first() {
        Some(Place::Header(name)) => {
            let written = alternative.signature.write(&signer.signature(None)?);
            let list = alternative.signature.list.as_deref();
            add(&mut headers, name, &written, list);
        }
        Some(Place::Form(name)) => {
            let written = alternative.signature.write(&signer.signature(None)?);
            if !body.is_empty() {
                body.push(b'&');
            }
            body.extend(format!("{name}={}", form::encode(&written)).into_bytes());
        }
        Some(Place::Json(pointer)) => {
            let mut edits = signer.edits(pointer)?;
            edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
            for (range, text) in edits {
                body.splice(range, text);
            }
        }
        _ => return Err(SignError::Unsupported("the signature stands where we cannot write it")),
    }
    Ok(Signed { headers, body })
}

enum SigningMaterial {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
    Equals(String),
}

/// The first alternative that the secret can sign for.
fn signer<'s>(
    scheme: &'s Scheme,
    secret: &Secret,
) -> Result<(&'s Alternative, SigningMaterial), SignError> {
    let mut expected = Vec::new();
    for alternative in &scheme.alternatives {
        let rule = &alternative.key;
        let decode = match alternative.algorithm {
            Algorithm::Ed25519 => rule.signing.as_ref(),
            Algorithm::EcdsaP256Sha256 | Algorithm::RsaPkcs1Sha256 => None,
            _ => Some(&rule.decode),
        };
        let Some(decode) = decode else { continue };
        expected.push(decode.expected());
        let Some(bytes) = decode.bytes(secret.text()) else { continue };
        if let Some(algorithm) = alternative.algorithm.hmac() {
            let key = Box::new(hmac::Key::new(algorithm, &bytes));
            return Ok((alternative, SigningMaterial::Hmac(key)));
        }
        if alternative.algorithm == Algorithm::Equals {
            return Ok((alternative, SigningMaterial::Equals(secret.text().to_owned())));
        }
        // A private key is written as its 32-byte seed followed by the public key.
        let pair = bytes
            .split_at_checked(32)
            .and_then(|(seed, public)| Ed25519KeyPair::from_seed_and_public_key(seed, public).ok());
        if let Some(pair) = pair {
            return Ok((alternative, SigningMaterial::Ed25519(pair)));
        }
    }
    if expected.is_empty() {
        return Err(SignError::Unsupported("only the provider holds its private key"));
    }
    let expected = expected.join(", or ");
    Err(SignError::Secret(SecretError::new(Some(0), SecretFault::Encoding { expected })))
}

/// The headers that carry variables: the time, and ids that the draft does not give.
fn variable_headers(
    scheme: &Scheme,
    alternative: &Alternative,
    draft: &Draft<'_>,
) -> Result<Vec<(String, String)>, SignError> {
    let mut headers = Vec::new();
    for variable in &alternative.variables {
        let Some(Place::Header(name)) = variable.part.source.places.first() else { continue };
        if draft.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            continue;
        }
        let value = match &scheme.fresh {
            Some(Fresh { time: SignedTime::Variable(fresh), window })
                if *fresh == variable.name =>
            {
                window.unit.write(draft.now_ms)
            }
            _ if draft.id.is_empty() => {
                return Err(SignError::Missing(format!("the header {name}")));
            }
            _ => draft.id.to_owned(),
        };
        add(&mut headers, name, &variable.part.write(&value), variable.part.list.as_deref());
    }
    Ok(headers)
}

fn add(headers: &mut Vec<(String, String)>, name: &str, text: &str, list: Option<&str>) {
    match headers.iter_mut().find(|(other, _)| other == name) {
        Some((_, value)) => {
            value.push_str(list.unwrap_or(","));
            value.push_str(text);
        }
        None => headers.push((name.to_owned(), text.to_owned())),
    }
}

/// Bytes of the body, and what stands in their place afterwards.
type Edit = (Range<usize>, Vec<u8>);

struct Signer<'s, 'r> {
    scheme: &'s Scheme,
    alternative: &'s Alternative,
    signer: SigningMaterial,
    request: &'s Request<'r>,
    document: Option<&'s Document<'r>>,
}

impl<'s, 'r> Signer<'s, 'r> {
    /// The signature of the request, or of one item, encoded.
    fn signature(&self, item: Option<Value<'s, 'r>>) -> Result<String, SignError> {
        let unsuitable = |_| SignError::Body("what the scheme signs is not in the request");
        let bare = Scope {
            request: self.request,
            settings: &[],
            document: self.document,
            item,
            variables: &[],
        };
        let variables: Vec<Option<Cow<'r, [u8]>>> = self
            .alternative
            .variables
            .iter()
            .map(|variable| engine::variable_value(self.scheme, variable, &bare))
            .collect::<Result<_, _>>()
            .map_err(unsuitable)?;
        let scope = Scope { variables: &variables, ..bare };
        let message = || match self.alternative.messages.first() {
            Some(message) => message.render(&scope).map_err(unsuitable),
            None => Ok(Vec::new()),
        };
        let encode = |bytes: &[u8]| self.alternative.encoding.encode(bytes);
        Ok(match &self.signer {
            SigningMaterial::Hmac(key) => encode(hmac::sign(key, &message()?).as_ref()),
            SigningMaterial::Ed25519(pair) => encode(pair.sign(&message()?).as_ref()),
            SigningMaterial::Equals(secret) => secret.clone(),
        })
    }

    /// What to change in a body that carries its signatures.
    fn edits(&self, pointer: &Pointer) -> Result<Vec<Edit>, SignError> {
        let no_json = SignError::Body("it is not JSON as we read it");
        let document = self.document.ok_or_else(|| no_json.clone())?;
        let root = document.root().ok_or(no_json)?;
        let Some(each) = &self.scheme.each else {
            let text = self.alternative.signature.write(&self.signature(None)?);
            return Ok(vec![set_text(root, pointer, &text)?]);
        };
        let items = engine::items(each, document).ok_or(SignError::Body("it has no items"))?;
        items
            .map(|item| {
                let item =
                    item.map_err(|_| SignError::Body("an item is not where it should be"))?;
                let text = self.alternative.signature.write(&self.signature(Some(item))?);
                set_text(item, pointer, &text)
            })
            .collect()
    }
}

/// The change that makes the member at `pointer` this text.
fn set_text(value: Value<'_, '_>, pointer: &Pointer, text: &str) -> Result<Edit, SignError> {
    let no_place = || SignError::Body("it has no object to put the signature into");
    let (parent, name) = pointer.split_last().ok_or_else(no_place)?;
    let object =
        value.at(&parent).filter(|object| object.kind() == Kind::Object).ok_or_else(no_place)?;
    let mut out = Vec::new();
    if let Some(present) = object.member(name) {
        write_text(text, &mut out);
        return Ok((present.range(), out));
    }
    if object.members().next().is_some() {
        out.push(b',');
    }
    write_text(name, &mut out);
    out.push(b':');
    write_text(text, &mut out);
    let end = object.range().end.saturating_sub(1);
    Ok((end..end, out))
}
