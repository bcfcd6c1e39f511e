//! Who may do what: permissions, the roles of operators, and how far an API key reaches.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $role:ident;)*) => {
        /// One thing that may be allowed. API keys have a set of them (their scopes), roles imply one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* $variant,)* }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code, `what:how`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The least role of an operator that has it.
            pub const fn least_role(self) -> Role {
                match self { $(Self::$variant => Role::$role,)* }
            }
        }
    };
}

permissions! {
    /// List and show events and refused arrivals.
    EventsRead = "events:read", Viewer;
    /// Release and deny held events.
    EventsDecide = "events:decide", Operator;
    /// See what an event or its body says: personal data in the clear.
    EventsReveal = "events:reveal", Administrator;
    /// List and show deliveries and attempts.
    DeliveriesRead = "deliveries:read", Viewer;
    /// Set deliveries going again.
    DeliveriesRedeliver = "deliveries:redeliver", Operator;
    /// List and show orders.
    OrdersRead = "orders:read", Viewer;
    /// Create and cancel orders.
    OrdersCreate = "orders:create", Operator;
    /// Have receipts judged, each for the request that it answers.
    ReceiptsVerify = "receipts:verify", Operator;
    /// List blocks of parties.
    BlocksRead = "blocks:read", Viewer;
    /// Block parties, see who is blocked, and lift blocks.
    BlocksChange = "blocks:change", Operator;
    /// List endpoints and their states.
    EndpointsRead = "endpoints:read", Viewer;
    /// Pause, resume and disable endpoints.
    EndpointsChange = "endpoints:change", Operator;
    /// List API keys; never their secrets.
    KeysRead = "keys:read", Viewer;
    /// Create, roll and revoke API keys.
    KeysChange = "keys:change", Administrator;
    /// List secrets of sources, endpoints and providers with their age; never their values.
    SecretsRead = "secrets:read", Viewer;
    /// Add, roll and retire secrets.
    SecretsChange = "secrets:change", Administrator;
    /// List operators.
    OperatorsRead = "operators:read", Administrator;
    /// Add, change and remove operators.
    OperatorsChange = "operators:change", Administrator;
    /// Read the audit log, its checkpoints and proofs.
    AuditRead = "audit:read", Viewer;
    /// Export the audit log.
    AuditExport = "audit:export", Administrator;
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that names no permission or no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such permission or role")
    }
}

impl std::error::Error for Unknown {}

impl FromStr for Permission {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL.iter().copied().find(|permission| permission.code() == text).ok_or(Unknown)
    }
}

/// What an operator is trusted with. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Sees what is not personal.
    Viewer,
    /// Decides about events and deliveries.
    Operator,
    /// Manages keys, secrets and operators, and may reveal and export.
    Administrator,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Operator, Self::Administrator];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }

    /// Whether it has a permission.
    pub fn may(self, permission: Permission) -> bool {
        self >= permission.least_role()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Role {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL.iter().copied().find(|role| role.code() == text).ok_or(Unknown)
    }
}

/// Whose things may be seen and touched. No bound at all reaches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Only these sources.
    pub sources: Option<BTreeSet<String>>,
    /// Only these providers.
    pub providers: Option<BTreeSet<String>>,
    /// Only this customer: the keyed hash under which the store knows persons.
    pub customer: Option<[u8; 16]>,
}

/// Whose a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belongs<'a> {
    /// The source that it came from.
    pub source: &'a str,
    /// Its provider.
    pub provider: &'a str,
    /// The customer that it is about, if it names one.
    pub customer: Option<[u8; 16]>,
}

impl Reach {
    /// Whether anything is out of reach.
    pub fn is_bound(&self) -> bool {
        *self != Self::default()
    }

    /// Whether a thing is within reach.
    pub fn covers(&self, thing: Belongs<'_>) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(thing.source))
            && self.providers.as_ref().is_none_or(|providers| providers.contains(thing.provider))
            && self.customer.is_none_or(|customer| thing.customer == Some(customer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_and_nothing_else_is() {
        for permission in Permission::ALL {
            assert_eq!(permission.code().parse(), Ok(*permission));
        }
        for role in Role::ALL {
            assert_eq!(role.code().parse(), Ok(*role));
        }
        assert_eq!("events:*".parse::<Permission>(), Err(Unknown));
        assert_eq!("Administrator".parse::<Role>(), Err(Unknown));
    }

    #[test]
    fn each_role_may_what_those_before_it_may() {
        for permission in Permission::ALL {
            for pair in Role::ALL.windows(2) {
                assert!(!pair[0].may(*permission) || pair[1].may(*permission), "{permission}");
            }
            assert!(Role::Administrator.may(*permission));
        }
        assert!(Role::Viewer.may(Permission::EventsRead));
        assert!(!Role::Viewer.may(Permission::EventsDecide));
        assert!(!Role::Operator.may(Permission::EventsReveal));
    }

    #[test]
    fn every_bound_counts() {
        let thing = Belongs { source: "stripe", provider: "stripe", customer: Some([1; 16]) };
        assert!(Reach::default().covers(thing) && !Reach::default().is_bound());
        let of = |name: &str| Some(BTreeSet::from([name.to_owned()]));
        let bound =
            Reach { sources: of("stripe"), providers: of("stripe"), customer: Some([1; 16]) };
        assert!(bound.covers(thing) && bound.is_bound());
        assert!(!Reach { sources: of("other"), ..bound.clone() }.covers(thing));
        assert!(!Reach { providers: of("other"), ..bound.clone() }.covers(thing));
        assert!(!Reach { customer: Some([2; 16]), ..bound.clone() }.covers(thing));
        assert!(!bound.covers(Belongs { customer: None, ..thing }));
    }
}
