//! The options of `keys`.

use clap::{Args, Subcommand};
use ipnet::IpNet;
use model::api_key::{Cause, Overlap};
use model::{ApiKeyId, Permission};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key, and print it this once.
    Create(CreateKey),
    /// List the keys that work: what they allow, how they end, how they are used.
    List {
        /// Also those that no longer work.
        #[arg(long)]
        all: bool,
        /// Only those that let nobody in for so many days, or since they were made.
        #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "90")]
        unused: Option<u16>,
    },
    /// Show one key; never its secret.
    Show {
        /// The key's id: key_… (what stands between the second and the third _ of the key).
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
    },
    /// Give a key a successor, and print that this once; the key works beside it for a while.
    Roll(RollKey),
    /// End a key for good, or all of them.
    Revoke(RevokeKey),
}

#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// What operators call it, such as the application's name.
    pub(crate) name: String,
    /// What it allows, such as events:read; may be given more than once.
    #[arg(long, value_name = "PERMISSION", required = true, value_parser = permission)]
    pub(crate) allow: Vec<Permission>,
    /// It sees only what this source received; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Vec<String>,
    /// It sees only what is of this provider; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Vec<String>,
    /// It sees only what is of this customer of the provider that is named.
    #[arg(long, value_name = "CUSTOMER", requires = "provider")]
    pub(crate) customer: Option<String>,
    /// It may be used only from this address or network, such as 192.0.2.0/24; may be given more
    /// than once.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub(crate) from: Vec<IpNet>,
    /// In how many days it ends.
    #[arg(long, value_name = "DAYS", default_value_t = model::limits::API_KEY_DAYS_DEFAULT)]
    pub(crate) days: u32,
    /// Why; kept with what was done.
    #[arg(long, default_value = "asked for by the operator")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct RollKey {
    /// The key.
    #[arg(value_name = "KEY")]
    pub(crate) id: ApiKeyId,
    /// How long the key works beside its successor: 0, 1h, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) overlap: Overlap,
    /// Why; kept with what was done.
    #[arg(long, default_value = "asked for by the operator")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    /// The key.
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) id: Option<ApiKeyId>,
    /// Every key there is.
    #[arg(long)]
    pub(crate) all: bool,
    /// Why, in a word: retired, leaked or suspected.
    #[arg(long, value_name = "CAUSE", default_value = "retired")]
    pub(crate) cause: Cause,
    /// Why; kept with what was done.
    #[arg(long, default_value = "asked for by the operator")]
    pub(crate) reason: String,
}

fn permission(text: &str) -> Result<Permission, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Permission::ALL.iter().map(|known| known.code()).collect();
        format!("not a permission: write one of {}", known.join(", "))
    })
}

/// A network without bits beyond its length, which would be another one than is meant; or an address
/// alone.
fn network(text: &str) -> Result<IpNet, String> {
    let wrong = || "not a network: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32".to_owned();
    let network: IpNet = match text.parse() {
        Ok(address) => IpNet::from(std::net::IpAddr::to_canonical(&address)),
        Err(_) => text.parse().map_err(|_| wrong())?,
    };
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("it has bits beyond its length: write {}", network.trunc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_what_they_say() {
        let read = |text: &str| network(text).map(|network| network.to_string());
        assert_eq!(read("192.0.2.7"), Ok("192.0.2.7/32".to_owned()));
        assert_eq!(read("::ffff:192.0.2.7"), Ok("192.0.2.7/32".to_owned()));
        assert_eq!(read("2001:db8::/32"), Ok("2001:db8::/32".to_owned()));
        let beyond = "it has bits beyond its length: write 192.0.2.0/24".to_owned();
        assert_eq!(read("192.0.2.7/24"), Err(beyond));
        for bad in ["", "192.0.2", "192.0.2.0/33", "here", "192.0.2.0/24,10.0.0.0/8"] {
            assert!(read(bad).is_err_and(|text| text.starts_with("not a network")), "{bad}");
        }
    }

    #[test]
    fn a_wrong_permission_is_answered_with_those_that_there_are() {
        assert_eq!(permission("events:read"), Ok(Permission::EventsRead));
        assert!(permission("events").is_err_and(|text| text.contains("events:read, ")));
    }
}
