//! Requests that are signed under a certificate, which they name themselves.

use aws_lc_rs::signature::ParsedPublicKey;

use super::{Case, Terms, choose};
use crate::certificate::CertificateUrl;
use crate::json::Document;
use crate::key;
use crate::reason::Rejection;
use crate::request::Request;
use crate::scheme::{Keys, Scheme, SignedTime};
use crate::source::Scope;
use crate::template::Template;

/// The certificate that a request takes, if everything else about it that can be told without one
/// is right.
pub(crate) fn certificate_url(
    scheme: &Scheme,
    keys: &Keys,
    request: &Request<'_>,
    terms: &Terms<'_>,
) -> Result<Option<CertificateUrl>, Rejection> {
    let (position, alternative) = choose(scheme, keys, request)?;
    let Some(rule) = &alternative.key.certificate else { return Ok(None) };
    let mut document = None;
    if alternative.reads_json {
        document = Some(Document::parse(request.body).map_err(|_| Rejection::MalformedBody)?);
    }
    let case = Case::new(scheme, (position, alternative), keys, request, terms);
    let values = case.values(document.as_ref(), None)?;
    let scope = Scope { variables: &values, ..case.scope(document.as_ref(), None) };
    case.check_patterns(&scope)?;
    case.candidates(&scope)?;
    let url = rule.url(&scope)?;
    if let Some(fresh) = &scheme.fresh
        && matches!(fresh.time, SignedTime::Variable(_))
    {
        case.check_time(fresh, &values, &mut None)?;
    }
    Ok(Some(url))
}

impl<'s, 'r> Case<'s, 'r> {
    /// The key of the certificate that the request names, where the scheme takes one.
    pub(super) fn certified_key(
        &self,
        scope: &Scope<'_, 'r>,
    ) -> Result<Option<Certificate<'s>>, Rejection> {
        let Some(rule) = &self.alternative.key.certificate else { return Ok(None) };
        let url = rule.url(scope)?;
        let certified = self.terms.certified.ok_or(Rejection::CertificateUnreadable)?;
        if *certified.url != url {
            return Err(Rejection::CertificateUrl);
        }
        let spki = rule.key(&certified, self.terms.now_ms)?;
        let key = key::certified(self.alternative.algorithm, &spki);
        let key = key.ok_or(Rejection::CertificateKey)?;
        Ok(Some(Certificate { key, setting: &rule.setting }))
    }
}

/// The key of a certificate that was judged, and what the configured text is called.
pub(super) struct Certificate<'c> {
    key: ParsedPublicKey,
    setting: &'c str,
}

impl Certificate<'_> {
    /// Whether one of the candidates is its signature of a message with this text in it.
    pub(super) fn signed(
        &self,
        message: &Template,
        text: &str,
        candidates: &[Vec<u8>],
        scope: &Scope<'_, '_>,
    ) -> Result<bool, Rejection> {
        let settings = [(self.setting.to_owned(), text.to_owned())];
        let message = message.render(&Scope { settings: &settings, ..*scope })?;
        Ok(candidates.iter().any(|candidate| self.key.verify_sig(&message, candidate).is_ok()))
    }
}
