//! Checkpoints by mail: a mailbox that somebody else reads is a place that nobody here can rewrite.

use std::fmt;
use std::time::Duration;

use audit::Signed;
use lettre::message::Mailbox;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

/// Where checkpoints are mailed to, and through which server.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// `smtps://USER:PASSWORD@HOST:PORT`, or `smtp://HOST:PORT?tls=required` for STARTTLS.
    server: String,
    from: Mailbox,
    to: Mailbox,
}

/// Why an address, or a server, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMail {
    /// Not an address of a mailbox.
    Address,
    /// Not the URL of a mail server.
    Server,
}

/// The server does not take the message.
#[derive(Debug, thiserror::Error)]
#[error("mail_refused: the mail server does not take the checkpoint")]
pub struct MailError;

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(…)")
    }
}

impl Mail {
    /// Judges a server's URL and two addresses.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(server: &str, from: &str, to: &str) -> Result<Self, BadMail> {
        let address = |text: &str| text.parse::<Mailbox>().map_err(|_| BadMail::Address);
        let mail = Self { server: server.to_owned(), from: address(from)?, to: address(to)? };
        mail.transport(Duration::ZERO).map_err(|_| BadMail::Server)?;
        Ok(mail)
    }

    fn transport(
        &self,
        limit: Duration,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, smtp::Error> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.server)?;
        Ok(builder.timeout(Some(limit)).build())
    }

    /// Mails a checkpoint.
    pub(super) async fn send(&self, checkpoint: &Signed, limit: Duration) -> Result<(), MailError> {
        let (origin, size) = (&checkpoint.checkpoint().origin, checkpoint.size());
        let message = Message::builder()
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(format!("Checkpoint of {origin}: {size} entries"))
            .body(checkpoint.note().to_owned())
            .map_err(|_| MailError)?;
        let transport = self.transport(limit).map_err(|_| MailError)?;
        transport.send(message).await.map(drop).map_err(|_| MailError)
    }
}

#[cfg(test)]
mod tests {
    use audit::{Sealer, SigningKey};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn checkpoint() -> Signed {
        let key = SigningKey::from_seed("log.example", &[3; 32]).expect("a key");
        Sealer::begin("log.example").sign(&key, None).expect("signs")
    }

    /// The least of a mail server: takes one message, or says that it is busy.
    async fn server(takes: bool) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let taking = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            let greeting = if takes { "220 test\r\n" } else { "421 busy\r\n" };
            writer.write_all(greeting.as_bytes()).await.expect("writes");
            let (mut message, mut in_data) = (String::new(), false);
            while let Ok(Some(line)) = lines.next_line().await {
                if in_data && line != "." {
                    message.push_str(&line);
                    message.push('\n');
                    continue;
                }
                in_data = line == "DATA";
                let answer = if in_data { "354 go on\r\n" } else { "250 ok\r\n" };
                writer.write_all(answer.as_bytes()).await.expect("writes");
                if line == "QUIT" {
                    break;
                }
                if line == "." {
                    return message;
                }
            }
            message
        });
        (url, taking)
    }

    #[tokio::test]
    async fn a_mailbox_gets_the_note() {
        let (url, taking) = server(true).await;
        let mail = Mail::new(&url, "gateway@shop.example", "auditor@bank.example").expect("good");
        let checkpoint = checkpoint();
        mail.send(&checkpoint, LIMIT).await.expect("it is taken");
        let message = taking.await.expect("a server");
        assert!(message.contains("Subject: Checkpoint of log.example: 0 entries"), "{message}");
        assert!(message.contains("To: auditor@bank.example"), "{message}");
        let root = checkpoint.note().lines().nth(2).expect("a root");
        assert!(message.replace("=\n", "").replace("=3D", "=").contains(root), "{message}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_take_it_is_an_error() {
        let (url, _taking) = server(false).await;
        let mail = Mail::new(&url, "a@shop.example", "b@bank.example").expect("good");
        mail.send(&checkpoint(), LIMIT).await.expect_err("it is busy");
    }

    #[test]
    fn addresses_and_servers_are_judged_and_not_shown() {
        let good = "smtps://user:p_test_1@mail.example:465";
        let mail = Mail::new(good, "a@b.example", "c@d.example").expect("good");
        assert!(!format!("{mail:?}").contains("p_test_1"));
        assert_eq!(Mail::new(good, "nobody", "c@d.example").unwrap_err(), BadMail::Address);
        assert_eq!(Mail::new(good, "a@b.example", "").unwrap_err(), BadMail::Address);
        for bad in ["", "mail.example", "http://mail.example"] {
            assert_eq!(Mail::new(bad, "a@b.example", "c@d.example").unwrap_err(), BadMail::Server);
        }
    }
}
