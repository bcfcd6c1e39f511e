//! Standard error, with cards, secrets and e-mail addresses masked in whatever passes.
//!
//! Secrets of ours are types that do not print. This is the last filter, for what others wrote: a
//! library's message, a word of the command line, an answer from outside.

use std::io::{self, IsTerminal, Write};

/// A writer that masks. What is written at once is looked at together, so lines are written whole.
pub(crate) struct Filtered<W>(pub(crate) W);

impl<W: Write> Write for Filtered<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(redact::line(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes a line to standard error. There is nobody left to tell when that is gone.
pub(crate) fn tell(text: &str) {
    let _ = Filtered(io::stderr()).write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Says what is wrong with the command line, which may hold anything.
pub(crate) fn tell_usage(error: &clap::Error) {
    let text = error.render();
    if io::stderr().is_terminal() {
        tell(&text.ansi().to_string());
    } else {
        tell(&text.to_string());
    }
}

/// Masks what panics say, from now on and in every thread.
pub(crate) fn mask_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tell(&format!("thread '{}' {panic}", thread.name().unwrap_or("unnamed")));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        Filtered(&mut out).write_all(text.as_bytes()).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn lines_of_both_forms_are_masked() {
        let json = r#"{"message":"of ada@example.com","card":4242424242424242,"ok":"sk_live_4eC39HqLyjW"}"#;
        let masked = written(json);
        assert_eq!(masked.len(), json.len());
        let read: serde_json::Value = serde_json::from_str(&masked).expect("JSON stays JSON");
        assert_eq!(read["message"], "of ***************");
        assert_eq!(read["ok"], "*******************");
        assert_eq!(
            written("\x1b[3mcard\x1b[0m\x1b[2m=\x1b[0m4242424242424242\n"),
            "\x1b[3mcard\x1b[0m\x1b[2m=\x1b[0m424242******4242\n"
        );
        assert_eq!(written("delivered \u{1F600}\n"), "delivered \u{1F600}\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_written_as_far_as_they_are() {
        let mut out = Vec::new();
        assert_eq!(Filtered(&mut out).write(b"a\xffb").expect("written"), 3);
        assert_eq!(out, "a\u{fffd}b".as_bytes());
    }
}
