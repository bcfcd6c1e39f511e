//! Configurations that open a door: the gateway does not start with them.

use super::{Attack, Attacker, Expected, Shot};
use crate::config::Origin;
use crate::demo::stage;
use crate::failure::Failure;

static X8: Attack = Attack { name: "X8", sent: "configuration: network 203.0.113.0 as one host" };
static X22: Attack = Attack { name: "X22", sent: "configuration: absent, empty, blank, no secret" };

impl Attacker<'_> {
    /// Each of them through the loader that `serve` uses.
    pub(super) fn starts(&mut self) -> Result<(), Failure> {
        let good = std::fs::read_to_string(self.stage.configuration())
            .map_err(|error| super::cannot("read the demo's configuration", error))?;
        let secret = "secrets = [\"${file:secrets/stripe}\"]";
        let with_secret = |other: &str| good.replacen(secret, other, 1);
        let folder = self.stage.folder();
        stage::write(folder, "secrets/empty", "")?;
        stage::write(folder, "secrets/blank", " \n")?;
        let network = good.replacen(&stage::allowed(), "allow_addresses = [\"203.0.113.0\"]", 1);
        let unset = "secrets = [\"${env:COUNTERSIGN_DEMO_IS_NEVER_SET}\"]";
        self.refuse_start(&X8, "one2pays", &network, "network_as_host")?;
        self.refuse_start(&X22, "stripe", &with_secret(unset), "variable_unset")?;
        let empty = "secrets = [\"${file:secrets/empty}\"]";
        self.refuse_start(&X22, "stripe", &with_secret(empty), "file_empty")?;
        let blank = "secrets = [\"${file:secrets/blank}\"]";
        self.refuse_start(&X22, "stripe", &with_secret(blank), "file_empty")?;
        self.refuse_start(&X22, "stripe", &with_secret("secrets = []"), "no_secrets")
    }

    fn refuse_start(
        &mut self,
        attack: &'static Attack,
        provider: &str,
        text: &str,
        code: &str,
    ) -> Result<(), Failure> {
        self.show.attack(attack.name, attack.sent);
        let name = format!("refused-{}.toml", self.shots.len());
        stage::write(self.stage.folder(), &name, text)?;
        let loaded = Origin::new(&self.stage.folder().join(name), None).configuration();
        let codes: Vec<String> = loaded.err().map_or_else(Vec::new, |problems| {
            problems.iter().map(|problem| problem.refusal.code().to_owned()).collect()
        });
        self.shots.push(Shot {
            attack,
            provider: provider.to_owned(),
            expected: Expected::NoStart,
            status: None,
            is_as_expected: codes == [code],
            reasons: codes.into_iter().map(|code| (code, 1)).collect(),
            body: None,
            is_good: false,
        });
        Ok(())
    }
}
