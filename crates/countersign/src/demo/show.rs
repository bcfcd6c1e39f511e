//! What is shown while the demo runs, on standard error: lines, and on a terminal a moving one.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sandbox::{Ledger, Route};

use super::cannot;
use super::stage::Stage;
use crate::failure::Failure;

/// The running commentary.
pub(super) struct Show {
    line: ProgressBar,
}

impl Show {
    pub(super) fn new() -> Self {
        let line = if std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
            line.set_style(style);
        }
        line.enable_steady_tick(Duration::from_millis(100));
        Self { line }
    }

    /// Who is there.
    pub(super) fn cast(&self, stage: &Stage) {
        self.say("countersign demo: everything below speaks HTTP on loopback; nothing leaves it");
        let target = stage.surroundings.target.address();
        self.say(&format!(
            "  gateway       http://{target}/in/SOURCE, watched at http://{}",
            stage.admin
        ));
        let names: Vec<_> = stage.simulators.iter().map(|one| one.provider.name()).collect();
        self.say(&format!("  providers     {}", names.join(", ")));
        self.say(&format!("  application   {}", stage.application.url()));
        if stage.surroundings.route == Route::Balancer {
            self.say("  addresses     one for all, as behind a load balancer (X-Forwarded-For)");
        }
    }

    /// The stream begins.
    pub(super) fn stream(&self, events: usize, orders: usize) {
        self.say(&format!(
            "1. {events} events of {orders} orders, interleaved; some answers are lost, some events \
             sent twice,"
        ));
        self.say("   the application fails at first, the gateway is restarted in the middle");
    }

    /// The stream goes on.
    pub(super) fn sending(&self, sent: usize, delivered: usize, events: usize) {
        self.line.set_message(format!("{sent} requests sent, {delivered} of {events} delivered"));
    }

    /// The stream is over.
    pub(super) fn streamed(&self, ledger: &Ledger, events: usize) {
        let entries = ledger.entries();
        let unanswered = entries.iter().filter(|sent| sent.answer.is_err()).count();
        let sent = entries.len();
        self.say(&format!(
            "   {sent} requests for {events} events, {unanswered} of them without an answer"
        ));
    }

    /// The attacks begin.
    pub(super) fn attacks(&self) {
        self.say("2. attacks: forgeries, replays, the guides' own flaws (X2 to X29), and payments that are");
        self.say("   genuine and not what was ordered");
    }

    /// One attack is under way.
    pub(super) fn attack(&self, name: &str, sent: &str) {
        self.line.set_message(format!("{name}: {sent}"));
    }

    /// The attacks are over.
    pub(super) fn attacked(&self, shots: usize, orders: usize) {
        self.say(&format!(
            "   {shots} hostile requests and configurations; {orders} orders of the five guides, paid \
             well and badly"
        ));
    }

    /// The application is still owed something.
    pub(super) fn waiting(&self, delivered: usize, owed: usize) {
        self.line.set_message(format!("{delivered} of {owed} delivered; the gateway tries again"));
    }

    /// Nothing more is expected.
    pub(super) fn delivered(&self, delivered: usize, owed: usize) {
        self.say(&format!("3. the application has {delivered} deliveries, {owed} were owed to it"));
    }

    /// What went wrong, where the report has no place for it.
    pub(super) fn wrongs(&self, wrongs: &[String]) {
        wrongs.iter().for_each(|wrong| self.say(wrong));
    }

    /// The moving line goes away.
    pub(super) fn finish(&self) {
        self.line.finish_and_clear();
    }

    /// How to look around while everything keeps running.
    pub(super) fn visitors(&self, stage: &Stage) -> Result<(), Failure> {
        let target = stage.surroundings.target.address();
        let configuration = stage.configuration();
        let configuration = configuration.display();
        let folder = stage.folder().display();
        let program = std::env::current_exe().unwrap_or_else(|_| "countersign".into());
        let program = program.display();
        let body = r#"{"id":"evt_by_hand","type":"order.paid","data":{"orderId":"ord_by_hand","status":"PAID"}}"#;
        let text = format!(
            "Still running. Look around:\n\
             \n\
             \x20 curl http://{admin}/metrics\n\
             \x20 curl http://{application}/log\n\
             \x20 {program} events list --all --config {configuration}\n\
             \n\
             Send a webhook of your own; without the signature it is refused:\n\
             \n\
             \x20 printf '%s' '{body}' > {folder}/body.json\n\
             \x20 {program} sign --provider koywe \\\n\
             \x20   --secret-file {folder}/secrets/koywe --body {folder}/body.json \\\n\
             \x20   --url http://{target}/in/koywe --curl\n\
             \x20 curl -i -X POST http://{target}/in/koywe -d @{folder}/body.json\n\
             \n\
             Ctrl-C stops it and takes {folder} away.",
            admin = stage.admin,
            application = stage.application.address(),
        );
        writeln!(std::io::stderr(), "\n{text}").map_err(|error| cannot("say what runs", error))
    }

    fn say(&self, text: &str) {
        self.line.suspend(|| {
            // There is nobody left to tell when standard error is gone.
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }
}
