//! A compiled scheme: alternatives, what they sign and where, and the window of the signed time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use regex::bytes::Regex;

use crate::bounds::KEYS_MAX;
use crate::json::Pointer;
use crate::key::{Algorithm, Decode, Family, KeyRule, Material, check_text};
use crate::secret::{Secret, SecretError, SecretFault};
use crate::source::{Place, Scope, Source};
use crate::template::Template;
use crate::time::Window;

/// What a signature vouches for. Money is believed only from what is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Every byte of the body.
    Full,
    /// Some fields of the body, or a body whose meaning hangs on headers that are not signed.
    Fields,
    /// The outermost members of a receipt; of what stands deeper, only some. Receipts alone can be
    /// signed so.
    TopLevelOnly,
    /// Only identifiers.
    Identifiers,
    /// A checksum of the body that can be forged.
    Checksum,
    /// Nothing: the event is a hint.
    None,
}

impl Covers {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Full,
        Self::Fields,
        Self::TopLevelOnly,
        Self::Identifiers,
        Self::Checksum,
        Self::None,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Fields => "fields",
            Self::TopLevelOnly => "top_level_only",
            Self::Identifiers => "identifiers",
            Self::Checksum => "checksum",
            Self::None => "none",
        }
    }
}

/// One way of signing, with all that is needed to verify it and to sign so.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) covers: Covers,
    pub(crate) weak: Option<String>,
    /// `provider/scheme` as vector files call it.
    pub(crate) vector_names: Vec<String>,
    /// Strongest first; the first whose condition holds decides.
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) fresh: Option<Fresh>,
    pub(crate) each: Option<Each>,
    pub(crate) require: Vec<(Source, Regex)>,
    pub(crate) equal: Vec<(Template, Template)>,
}

#[derive(Debug)]
pub(crate) struct Alternative {
    pub(crate) name: Arc<str>,
    pub(crate) when: Condition,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: KeyRule,
    pub(crate) signature: Part,
    pub(crate) encoding: Encoding,
    pub(crate) candidates_max: usize,
    pub(crate) variables: Vec<Variable>,
    pub(crate) messages: Vec<Template>,
    /// Headers that are read, lower case.
    pub(crate) headers: Arc<[Box<str>]>,
    /// The request itself says which headers are signed.
    pub(crate) signs_named_headers: bool,
    pub(crate) reads_json: bool,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) pattern: Option<Regex>,
}

/// Where in a value a part of it stands.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) source: Source,
    /// What separates the elements of a list.
    pub(crate) list: Option<String>,
    /// What separates a name from its value.
    pub(crate) split: Option<String>,
    /// The name whose value is meant.
    pub(crate) take: Option<String>,
    /// What must stand before the value, exactly, and is taken off.
    pub(crate) strip: Option<String>,
}

impl Part {
    /// The parts that are meant. An element without the prefix to be taken off comes as an error.
    pub(crate) fn pieces<'v>(&self, text: &'v str) -> impl Iterator<Item = Result<&'v str, ()>> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            let list = self.list.as_deref();
            let Some((element, after)) = list.and_then(|separator| cut(text, separator)) else {
                return Some(text);
            };
            rest = Some(after);
            Some(element)
        })
        .filter_map(|element| {
            let value = match (&self.split, &self.take) {
                (Some(separator), Some(take)) => {
                    let (name, value) = cut(element, separator)?;
                    (name == take).then_some(value)?
                }
                _ => element,
            };
            Some(match &self.strip {
                Some(prefix) => value.strip_prefix(prefix.as_str()).ok_or(()),
                None => Ok(value),
            })
        })
    }

    /// The text of a header or field that holds this part alone.
    pub(crate) fn write(&self, value: &str) -> String {
        let strip = self.strip.as_deref().unwrap_or_default();
        match (&self.split, &self.take) {
            (Some(separator), Some(take)) => format!("{take}{separator}{strip}{value}"),
            _ => format!("{strip}{value}"),
        }
    }
}

/// What stands before and after a separator. Most are one byte, which is found without the
/// preparations of a search for a text.
fn cut<'v>(text: &'v str, separator: &str) -> Option<(&'v str, &'v str)> {
    match separator.as_bytes() {
        [byte] if byte.is_ascii() => text.split_once(char::from(*byte)),
        _ => text.split_once(separator),
    }
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Hex,
    HexLower,
    Base64,
    Base64Url,
    Text,
}

impl Encoding {
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("hex", Self::Hex),
        ("hex_lower", Self::HexLower),
        ("base64", Self::Base64),
        ("base64url", Self::Base64Url),
        ("text", Self::Text),
    ];

    /// Strict: the whole text, and only the one spelling of these bytes (`hex` takes either case).
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::HexLower if text.bytes().any(|byte| byte.is_ascii_uppercase()) => None,
            Self::Hex | Self::HexLower => {
                let mut bytes = vec![0; text.len() / 2];
                hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
            }
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Base64Url => URL_SAFE_NO_PAD.decode(text).ok(),
            Self::Text => Some(text.as_bytes().to_vec()),
        }
    }

    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex | Self::HexLower => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
            Self::Text => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// When an alternative or a shape is meant.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    pub(crate) present: Vec<Source>,
    pub(crate) absent: Vec<Source>,
    pub(crate) equals: Vec<(Source, String)>,
}

impl Condition {
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        let equals = self.equals.iter().map(|(source, _)| source);
        self.present.iter().chain(&self.absent).chain(equals)
    }

    pub(crate) fn holds(&self, scope: &Scope<'_, '_>) -> bool {
        // An object or array is present, though it is no text.
        let present = |source: &Source| !matches!(source.find_any(scope), Ok(false));
        self.present.iter().all(present)
            && !self.absent.iter().any(present)
            && self.equals.iter().all(|(source, text)| {
                matches!(source.find(scope), Ok(Some(value)) if value.as_ref() == text.as_bytes())
            })
    }
}

/// The signed time.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) time: SignedTime,
    pub(crate) window: Window,
}

#[derive(Debug)]
pub(crate) enum SignedTime {
    /// A variable of every alternative, by name.
    Variable(String),
    /// A member of the signed body, read once the signature holds.
    Body(Pointer),
}

/// A batch: an array, and where in each element the item is.
#[derive(Debug, Clone)]
pub(crate) struct Each {
    pub(crate) array: Pointer,
    pub(crate) item: Pointer,
}

/// Secrets decoded and prepared for one scheme. Cheap to clone; cannot be printed.
#[derive(Clone)]
pub struct Keys {
    /// For each alternative, the secret's position and its key.
    alternatives: Arc<[Vec<(usize, Material)>]>,
    settings: Arc<[(String, String)]>,
}

impl Keys {
    pub(crate) fn of(&self, alternative: usize) -> &[(usize, Material)] {
        self.alternatives.get(alternative).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Gives a setting that the scheme signs (`cfg:` in the profile), such as a webhook's id.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        let kept = self.settings.iter().filter(|(other, _)| other != name).cloned();
        self.settings = kept.chain([(name.to_owned(), value.to_owned())]).collect();
        self
    }
}

/// What a profile demands of its secrets.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) pattern: Regex,
    pub(crate) expected: String,
}

impl Scheme {
    /// Lets the headers of these sources be kept as evidence, beside those that verifying reads.
    pub(crate) fn keep_headers<'e>(&mut self, sources: impl Iterator<Item = &'e Source> + Clone) {
        for alternative in &mut self.alternatives {
            let read = sources.clone().flat_map(|source| &source.places).filter_map(Place::header);
            let mut headers: Vec<Box<str>> = alternative.headers.iter().cloned().collect();
            headers.extend(read.map(Box::from));
            headers.sort();
            headers.dedup();
            alternative.headers = headers.into();
        }
    }

    /// Decodes the secrets for the alternatives that they fit.
    pub(crate) fn keys(
        &self,
        secrets: &[Secret],
        shape: Option<&Shape>,
    ) -> Result<Keys, SecretError> {
        if secrets.is_empty() {
            return Err(SecretError::new(None, SecretFault::None));
        }
        if secrets.len() > KEYS_MAX {
            return Err(SecretError::new(None, SecretFault::TooMany));
        }
        let mut alternatives: Vec<Vec<(usize, Material)>> =
            vec![Vec::new(); self.alternatives.len()];
        for (index, secret) in secrets.iter().enumerate() {
            check_text(index, secret.text())?;
            if let Some(shape) = shape
                && !shape.pattern.is_match(secret.text().as_bytes())
            {
                let expected = shape.expected.clone();
                return Err(SecretError::new(Some(index), SecretFault::Shape { expected }));
            }
            let mut fits = false;
            for (alternative, keys) in self.alternatives.iter().zip(&mut alternatives) {
                let rule = &alternative.key;
                let bytes = rule.decode.bytes(secret.text());
                let bytes = bytes.filter(|bytes| rule.bytes.contains(&bytes.len()));
                let material = match &rule.certificate {
                    Some(_) => Some(Material::Named(secret.text().into())),
                    None => {
                        bytes.and_then(|bytes| Material::prepare(alternative.algorithm, &bytes))
                    }
                };
                if let Some(material) = material {
                    keys.push((index, material));
                    fits = true;
                }
            }
            if !fits {
                let mut expected: Vec<_> = self
                    .alternatives
                    .iter()
                    .map(|alternative| alternative.key.expected())
                    .collect();
                expected.dedup();
                let expected = expected.join(", or ");
                return Err(SecretError::new(Some(index), SecretFault::Encoding { expected }));
            }
        }
        if alternatives.iter().any(|keys| !keys.is_empty() && keys.len() != secrets.len()) {
            return Err(SecretError::new(None, SecretFault::Mixed));
        }
        Ok(Keys { alternatives: alternatives.into(), settings: Arc::default() })
    }

    /// One key, decoded as a vector says, for the alternatives of its family.
    pub(crate) fn vector_keys(&self, text: &str, decode: &Decode, family: Family) -> Option<Keys> {
        check_text(0, text).ok()?;
        let bytes = decode.bytes(text)?;
        let prepare = |alternative: &Alternative| {
            let is_meant =
                alternative.algorithm.family() == family && alternative.key.certificate.is_none();
            let material = is_meant.then(|| Material::prepare(alternative.algorithm, &bytes))?;
            Some((0, material?))
        };
        let alternatives: Vec<Vec<_>> = self
            .alternatives
            .iter()
            .map(|alternative| prepare(alternative).into_iter().collect())
            .collect();
        if alternatives.iter().all(Vec::is_empty) {
            return None;
        }
        Some(Keys { alternatives: alternatives.into(), settings: Arc::default() })
    }
}
