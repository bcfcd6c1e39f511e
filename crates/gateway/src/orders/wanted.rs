//! Orders as applications ask for them: every fault is told at once, and nothing is rewritten.

use std::collections::BTreeMap;

use model::money::{Asset, BadAmount, Currency, Notation, Unit};
use model::order::Expected;
use model::{Environment, Money, OrderId, Timestamp};
use schemes::Profile;
use serde::Deserialize;
use store::{NewOrder, NewWatch};
use utoipa::ToSchema;

use super::{OrderFacts, OrderRules, reference_key};
use crate::chains::{of_name, of_unit};
use crate::entropy;
use crate::keys::KeyRing;

const REFERENCE_BYTES_MAX: usize = 255;
const TEXT_CHARS_MAX: usize = 500;
const METADATA_MAX: usize = 20;
const METADATA_CHARS_MAX: usize = 100;
const PRODUCT_BYTES_MAX: usize = 64;

/// Longest that an order may be open, milliseconds: a year.
const OPEN_MS_MAX: i64 = 366 * 86_400_000;

/// An order that is wanted.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedOrder {
    /// What the application calls it, and what the provider is to repeat: 1 to 255 visible ASCII
    /// characters, of those that the order's provider takes. Never a person's name, address or number.
    pub reference: String,
    /// How much, in major units, as an exact decimal: more than nothing.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// In which currency: its code of ISO 4217. This, or `asset`, `chain` and `decimals`.
    #[serde(default)]
    pub currency: Option<String>,
    /// In which asset.
    #[serde(default)]
    pub asset: Option<String>,
    /// On which chain.
    #[serde(default)]
    pub chain: Option<String>,
    /// How many decimals the asset has. It need not be said where its chain is watched.
    #[serde(default)]
    #[schema(maximum = 38)]
    pub decimals: Option<u8>,
    /// How much less or more is fine, in major units: nothing unless it is said, at most a tenth.
    #[serde(default)]
    pub tolerance: Option<String>,
    /// Through which provider it must be paid; any if it is not said.
    #[serde(default)]
    pub provider: Option<String>,
    /// Through which source it must be paid; any if it is not said.
    #[serde(default)]
    pub source: Option<String>,
    /// Who pays, as the provider names them. It needs `provider`.
    #[serde(default)]
    pub customer: Option<String>,
    /// The address on its chain that must be paid. Where that is watched: of this order alone.
    #[serde(default)]
    pub address: Option<String>,
    /// The only address that may pay, where its chain is watched.
    #[serde(default)]
    pub sender: Option<String>,
    /// The provider's account that must be paid.
    #[serde(default)]
    pub payee: Option<String>,
    /// From when on it is too late: at most a year from now.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// What it is for: at most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Which product: 1 to 64 letters, digits, dots, underscores and hyphens.
    #[serde(default)]
    pub product: Option<String>,
    /// Where the payer is sent afterwards: HTTPS, on a host that is allowed.
    #[serde(default)]
    pub return_url: Option<String>,
    /// What the application wants to find again: at most 20 texts of 100 characters.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What an order is judged beside.
pub(crate) struct Beside<'a> {
    pub(crate) rules: &'a OrderRules,
    pub(crate) environment: Environment,
    /// What is known of the provider of each source that there is.
    pub(crate) sources: &'a BTreeMap<&'a str, &'a Profile>,
    pub(crate) keys: &'a KeyRing,
    pub(crate) now: Timestamp,
}

/// What is wrong with a member, each as `member: code`.
pub(crate) type Faults = Vec<Fault>;

type Fault = (&'static str, &'static str);

impl WantedOrder {
    /// The order, or everything that is wrong with it.
    pub(crate) fn judge(self, beside: &Beside<'_>) -> Result<(NewOrder, OrderFacts), Faults> {
        let mut faults = Faults::new();
        let money = self.money(beside.rules, &mut faults);
        let tolerance = money.as_ref().and_then(|money| self.tolerance(money, &mut faults));
        let expires_at = self.expires_at(beside.now, &mut faults);
        let watch = self.watch(money.as_ref(), beside, &mut faults);
        self.whose(beside, &mut faults);
        self.texts(&mut faults);
        self.return_url(beside, &mut faults);
        let (Some(money), Some(tolerance), true) = (money, tolerance, faults.is_empty()) else {
            return Err(faults);
        };
        let customer = self.provider.as_deref().zip(self.customer.as_deref());
        let customer_key = customer.map(|(provider, who)| beside.keys.customer(provider, who));
        let id = OrderId::new(beside.now, entropy::bytes());
        let new = NewOrder {
            id,
            reference_key: reference_key(beside.keys, &self.reference),
            customer_key,
            address_key: None,
            provider: self.provider.clone(),
            source: self.source.clone(),
            expected: Expected { money, tolerance, expires_at, cancelled_at: None },
            watch,
            parties: Vec::new(),
            limits: beside.rules.limits.clone(),
            keys: Vec::new(),
            sealed: store::SealedRow {
                key: vault::KeyId([0; 16]),
                sealed: vault::Sealed::from_bytes(Vec::new()),
            },
        };
        Ok((new, self.about()))
    }

    fn about(self) -> OrderFacts {
        let nonce: [u8; 16] = entropy::bytes();
        OrderFacts {
            reference: self.reference,
            customer: self.customer,
            address: self.address,
            sender: self.sender,
            payee: self.payee,
            description: self.description,
            product: self.product,
            return_url: self.return_url,
            metadata: self.metadata,
            nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn money(&self, rules: &OrderRules, faults: &mut Faults) -> Option<Money> {
        let unit = match (&self.currency, &self.asset, &self.chain, self.decimals) {
            (Some(code), None, None, None) => match code.parse::<Currency>() {
                Ok(currency)
                    if rules.currencies.is_empty() || rules.currencies.contains(&currency) =>
                {
                    Some(Unit::Currency(currency))
                }
                Ok(_) => {
                    faults.push(("currency", "currency_not_allowed"));
                    None
                }
                Err(_) => {
                    faults.push(("currency", "currency_unknown"));
                    None
                }
            },
            (None, Some(asset), Some(chain), decimals) => {
                match self.asset(asset, chain, decimals, rules) {
                    Ok(asset) => Some(Unit::Asset(asset)),
                    Err(fault) => {
                        faults.push(fault);
                        None
                    }
                }
            }
            _ => {
                faults.push(("currency", "currency_or_asset"));
                None
            }
        };
        // Without its unit the text itself can still be wrong.
        let decimals = unit.as_ref().map_or(38, Unit::decimals);
        let minor = match model::money::parse(&self.amount, Notation::Major, decimals) {
            Ok(0) => Err("amount_zero"),
            Ok(minor) => Ok(minor),
            Err(BadAmount::TooLarge) if unit.is_none() => return None,
            Err(bad) => Err(bad.code()),
        };
        match minor {
            Ok(minor) => unit.map(|unit| Money { minor, unit }),
            Err(code) => {
                faults.push(("amount", code));
                None
            }
        }
    }

    /// An asset. On a chain that is watched there are only those that the configuration names.
    fn asset(
        &self,
        symbol: &str,
        chain: &str,
        decimals: Option<u8>,
        rules: &OrderRules,
    ) -> Result<Asset, Fault> {
        let known = of_name(&rules.assets, chain, symbol).map(|known| known.asset.decimals);
        let is_watched = rules.assets.iter().any(|asset| asset.chain == chain);
        let decimals = match (known, decimals) {
            (None, _) if is_watched => return Err(("asset", "asset_unknown")),
            (Some(known), Some(said)) if said != known => {
                return Err(("decimals", "decimals_differ"));
            }
            (known, said) => known.or(said).ok_or(("currency", "currency_or_asset"))?,
        };
        Asset::new(symbol, chain, decimals).map_err(|_| ("asset", "asset_malformed"))
    }

    /// Where its payments are looked for. That needs to know where, and until when.
    fn watch(
        &self,
        money: Option<&Money>,
        beside: &Beside<'_>,
        faults: &mut Faults,
    ) -> Option<NewWatch> {
        let asset = money.and_then(|money| of_unit(&beside.rules.assets, &money.unit));
        let Some(asset) = asset else {
            // Without an asset the address is not judged; without a watch nobody looks at the sender.
            if money.is_some() && self.sender.is_some() {
                faults.push(("sender", "chain_not_watched"));
            }
            return None;
        };
        if self.expires_at.is_none() {
            faults.push(("expires_at", "time_missing"));
        }
        if self.sender.as_ref().is_some_and(|sender| asset.address(sender).is_none()) {
            faults.push(("sender", "address_malformed"));
        }
        let fault = match self.address.as_ref().map(|address| asset.address(address)) {
            None => "address_missing",
            Some(None) => "address_malformed",
            Some(Some(address)) => {
                let chain = asset.chain.clone();
                let named = [chain.as_bytes(), address.as_str().as_bytes()];
                let address_key = beside.keys.index("chain address", &named);
                return Some(NewWatch { chain, address_key });
            }
        };
        faults.push(("address", fault));
        None
    }

    fn tolerance(&self, money: &Money, faults: &mut Faults) -> Option<u128> {
        let Some(text) = &self.tolerance else { return Some(0) };
        match model::money::parse(text, Notation::Major, money.unit.decimals()) {
            Ok(tolerance) if tolerance <= money.minor / 10 => Some(tolerance),
            Ok(_) => {
                faults.push(("tolerance", "tolerance_too_large"));
                None
            }
            Err(bad) => {
                faults.push(("tolerance", bad.code()));
                None
            }
        }
    }

    fn expires_at(&self, now: Timestamp, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.expires_at.as_ref()?;
        let fault = match text.parse::<Timestamp>() {
            Err(_) => "time_malformed",
            Ok(at) if at <= now => "time_past",
            Ok(at) if at > now.plus_millis(OPEN_MS_MAX) => "time_too_far",
            Ok(at) => return Some(at),
        };
        faults.push(("expires_at", fault));
        None
    }

    /// Of providers and sources that there are.
    fn whose(&self, beside: &Beside<'_>, faults: &mut Faults) {
        let of_source = self.source.as_ref().map(|name| beside.sources.get(name.as_str()));
        if matches!(of_source, Some(None)) {
            faults.push(("source", "source_unknown"));
        }
        let named = self
            .provider
            .as_ref()
            .map(|provider| beside.sources.values().find(|profile| profile.name() == provider));
        match (named, of_source.flatten()) {
            (Some(None), _) => faults.push(("provider", "provider_unknown")),
            (Some(Some(named)), Some(of)) if named.name() != of.name() => {
                faults.push(("provider", "provider_of_another_source"));
            }
            _ => {}
        }
        let mut profiles = [named, of_source].into_iter().flatten().flatten();
        if profiles.any(|profile| !profile.takes_reference(&self.reference)) {
            faults.push(("reference", "reference_unfit"));
        }
        if self.customer.is_some() && self.provider.is_none() {
            faults.push(("customer", "provider_missing"));
        }
    }

    fn texts(&self, faults: &mut Faults) {
        let visible = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !visible(&self.reference, REFERENCE_BYTES_MAX) {
            faults.push(("reference", "reference_malformed"));
        }
        for (member, text) in [
            ("customer", &self.customer),
            ("address", &self.address),
            ("sender", &self.sender),
            ("payee", &self.payee),
        ] {
            if text.as_ref().is_some_and(|text| !visible(text, REFERENCE_BYTES_MAX)) {
                faults.push((member, "text_malformed"));
            }
        }
        let is_product = |text: &String| {
            visible(text, PRODUCT_BYTES_MAX)
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if self.product.as_ref().is_some_and(|product| !is_product(product)) {
            faults.push(("product", "product_malformed"));
        }
        let fits = |text: &str, most: usize| {
            text.chars().count() <= most && !text.chars().any(char::is_control)
        };
        if self.description.as_ref().is_some_and(|text| !fits(text, TEXT_CHARS_MAX)) {
            faults.push(("description", "text_malformed"));
        }
        let mut pairs = self.metadata.iter();
        let all_fit = pairs
            .all(|(name, text)| visible(name, PRODUCT_BYTES_MAX) && fits(text, METADATA_CHARS_MAX));
        if self.metadata.len() > METADATA_MAX || !all_fit {
            faults.push(("metadata", "metadata_malformed"));
        }
        self.personal(faults);
    }

    /// What looks like a person's, a card's or a secret does not belong here.
    fn personal(&self, faults: &mut Faults) {
        let looks = |text: &str| redact::line(text) != text;
        let mut check = |member, found: bool| {
            if found {
                faults.push((member, "looks_personal"));
            }
        };
        check("reference", looks(&self.reference));
        check("customer", self.customer.as_deref().is_some_and(looks));
        check("description", self.description.as_deref().is_some_and(looks));
        check("product", self.product.as_deref().is_some_and(looks));
        check("metadata", self.metadata.iter().any(|(name, text)| looks(name) || looks(text)));
    }

    fn return_url(&self, beside: &Beside<'_>, faults: &mut Faults) {
        let Some(text) = &self.return_url else { return };
        let fault = match url::Url::parse(text) {
            Err(_) => Some("url_malformed"),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Some("url_with_credentials")
            }
            Ok(url) => {
                let host = url.host_str().unwrap_or_default();
                let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
                let is_test = beside.environment == Environment::Test;
                let is_allowed = beside.rules.return_hosts.iter().any(|known| known == host);
                match (is_loopback && is_test, url.scheme(), is_allowed) {
                    (true, "http" | "https", _) | (false, "https", true) => None,
                    (_, "https", _) => Some("host_not_allowed"),
                    _ => Some("url_not_https"),
                }
            }
        };
        faults.extend(fault.map(|fault| ("return_url", fault)));
    }
}
