//! Where a value stands in a request: `header:x-signature`, `json:/id`, `body`, a variable.

use std::borrow::Cow;

use crate::form;
use crate::json::{Document, Pointer, Value};
use crate::reason::Rejection;
use crate::request::Request;

/// Places in order; the first that holds something is meant. Ends in `?` where nothing will do.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) places: Vec<Place>,
    pub(crate) optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Header(Box<str>),
    Query(Box<str>),
    Form(Box<str>),
    /// In the item of a batch, else in the body.
    Json(Pointer),
    /// In the body, even in a batch.
    Root(Pointer),
    Setting(Box<str>),
    Body,
    /// The bytes of the item of a batch, else the body.
    Item,
    Url,
    Path,
    QueryText,
    Method,
    /// A variable of the alternative, by position.
    Variable(usize),
}

/// What sources are looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 'r> {
    pub(crate) request: &'s Request<'r>,
    pub(crate) settings: &'s [(String, String)],
    pub(crate) document: Option<&'s Document<'r>>,
    pub(crate) item: Option<Value<'s, 'r>>,
    pub(crate) variables: &'s [Option<Cow<'r, [u8]>>],
}

impl Source {
    /// Reads `a|b?`. The message says what is wrong and what is right.
    pub(crate) fn parse(text: &str, variables: &[&str]) -> Result<Self, String> {
        let (places, optional) = match text.strip_suffix('?') {
            Some(places) => (places, true),
            None => (text, false),
        };
        let places = places
            .split('|')
            .map(|place| Place::parse(place, variables))
            .collect::<Result<_, _>>()?;
        Ok(Self { places, optional })
    }

    /// The value, none where it may be absent and is.
    pub(crate) fn find<'r>(
        &self,
        scope: &Scope<'_, 'r>,
    ) -> Result<Option<Cow<'r, [u8]>>, Rejection> {
        match self.first(scope)? {
            None if !self.optional => Err(match self.places.first() {
                Some(Place::Header(_)) => Rejection::MissingHeader,
                _ => Rejection::MissingField,
            }),
            found => Ok(found),
        }
    }

    /// The value of the first place that holds one.
    pub(crate) fn first<'r>(
        &self,
        scope: &Scope<'_, 'r>,
    ) -> Result<Option<Cow<'r, [u8]>>, Rejection> {
        for place in &self.places {
            if let Some(value) = place.find(scope)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Whether a value stands there, of whatever type.
    pub(crate) fn find_any(&self, scope: &Scope<'_, '_>) -> Result<bool, Rejection> {
        for place in &self.places {
            let found = match place {
                Place::Json(_) | Place::Root(_) => place.value(scope).is_some(),
                _ => place.find(scope)?.is_some(),
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn reads_json(&self) -> bool {
        self.places
            .iter()
            .any(|place| matches!(place, Place::Json(_) | Place::Root(_) | Place::Item))
    }
}

impl Place {
    fn parse(text: &str, variables: &[&str]) -> Result<Self, String> {
        if let Some(position) = variables.iter().position(|name| *name == text) {
            return Ok(Self::Variable(position));
        }
        let pointer = |text: &str| {
            Pointer::parse(text)
                .ok_or_else(|| format!("{text:?} is no JSON pointer: write it like /data/id"))
        };
        let named = |name: &str| {
            if name.is_empty() {
                Err(format!("{text:?} names nothing"))
            } else {
                Ok(Box::<str>::from(name))
            }
        };
        Ok(match text.split_once(':') {
            Some(("header", name)) => Self::Header(named(&name.to_ascii_lowercase())?),
            Some(("query", name)) => Self::Query(named(name)?),
            Some(("form", name)) => Self::Form(named(name)?),
            Some(("cfg", name)) => Self::Setting(named(name)?),
            Some(("json", path)) => Self::Json(pointer(path)?),
            Some(("root", path)) => Self::Root(pointer(path)?),
            _ => match text {
                "body" => Self::Body,
                "item" => Self::Item,
                "url" => Self::Url,
                "path" => Self::Path,
                "qs" => Self::QueryText,
                "method" => Self::Method,
                _ => {
                    return Err(format!(
                        "{text:?} is no source: use header:NAME query:NAME form:NAME json:/PATH \
                         root:/PATH cfg:NAME body item url path qs method, or a variable of vars"
                    ));
                }
            },
        })
    }

    /// The header that is meant, if it is one.
    pub(crate) fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            _ => None,
        }
    }

    /// The JSON value that is meant, if it is one.
    pub(crate) fn value<'s, 'r>(&self, scope: &Scope<'s, 'r>) -> Option<Value<'s, 'r>> {
        let root = || scope.document.and_then(Document::root);
        match self {
            Self::Json(pointer) => scope.item.or_else(root)?.at(pointer),
            Self::Root(pointer) => root()?.at(pointer),
            _ => None,
        }
    }

    /// The value that is meant, if it is there.
    pub(crate) fn find<'r>(
        &self,
        scope: &Scope<'_, 'r>,
    ) -> Result<Option<Cow<'r, [u8]>>, Rejection> {
        let request = scope.request;
        Ok(match self {
            Self::Header(name) => {
                return request.header(name).map(|value| value.map(Cow::Borrowed));
            }
            Self::Query(name) => {
                form::field(form::query(request.url).unwrap_or_default().as_bytes(), name)
                    .map_err(|_| Rejection::RepeatedField)?
            }
            Self::Form(name) => {
                form::field(request.body, name).map_err(|_| Rejection::MalformedBody)?
            }
            Self::Json(_) | Self::Root(_) => match self.value(scope) {
                Some(value) => Some(bytes_of(value.scalar().ok_or(Rejection::FieldMismatch)?)),
                None => None,
            },
            Self::Setting(name) => {
                let setting = scope.settings.iter().find(|(key, _)| **key == **name);
                setting.map(|(_, value)| Cow::Owned(value.clone().into_bytes()))
            }
            Self::Body => Some(Cow::Borrowed(request.body)),
            Self::Item => Some(scope.item.map_or(Cow::Borrowed(request.body), |item| {
                Cow::Borrowed(item.source().as_bytes())
            })),
            Self::Url => Some(Cow::Borrowed(request.url.as_bytes())),
            Self::Path => Some(Cow::Borrowed(form::path(request.url).as_bytes())),
            Self::QueryText => {
                form::query(request.url).map(|query| Cow::Borrowed(query.as_bytes()))
            }
            Self::Method => Some(Cow::Borrowed(request.method.as_bytes())),
            Self::Variable(position) => scope.variables.get(*position).cloned().flatten(),
        })
    }
}

/// A text as bytes, borrowed where it is.
pub(crate) fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
