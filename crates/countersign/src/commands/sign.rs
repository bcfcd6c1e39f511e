//! `sign`: a correctly signed request, as the provider would send it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::RequestId;
use schemes::{Draft, Signed};

use super::{Ended, bytes, now, profiles, random, receipt, say, unknown_provider};
use crate::args::{Arguments, Sign};
use crate::config;
use crate::failure::{Failure, Outcome};

/// Signs what the arguments name.
pub(super) fn run(sign: &Sign, arguments: &Arguments) -> Ended {
    let profiles = profiles(arguments)?;
    let profile = profiles.find(&sign.provider)?.ok_or_else(|| unknown_provider(&profiles))?;
    let from = &sign.secret;
    let secrets =
        config::secrets_of(&from.secret_env, &from.secret_file, arguments.env_file.as_deref())?;
    let [secret] = secrets.as_slice() else {
        let message = "a request is signed with one secret";
        return Err(Failure::new("usage", message, "give --secret-env or --secret-file once"));
    };
    let body = bytes(&sign.body)?;
    let at = sign.at.map_or_else(now, |moment| moment.resolve(now()));
    let id = match &sign.id {
        Some(id) => id.clone(),
        None => RequestId::new(at, random()?).to_string().replace("req_", "msg_"),
    };
    let headers: Vec<(&str, &str)> =
        sign.header.iter().map(|h| (h.name.as_str(), h.value.as_str())).collect();
    let draft = Draft {
        method: &sign.method,
        url: &sign.url,
        headers: &headers,
        body: &body,
        now_ms: at.as_millis(),
        id: &id,
    };
    let signed = match &sign.receipt {
        Some(form) => receipt(&profile, form)?.sign(secret, draft),
        None => schemes::sign(&profile, secret, draft),
    };
    let signed = signed.map_err(|error| {
        let fix = "see how this provider signs: countersign providers show NAME";
        Failure::new(error.code(), error, fix)
    })?;
    print(sign, &body, &signed, arguments.json)?;
    Ok(Outcome::Done)
}

fn print(sign: &Sign, body: &[u8], signed: &Signed, json: bool) -> Result<(), Failure> {
    if json {
        let headers: Vec<_> = signed
            .headers
            .iter()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
            .collect();
        return say(serde_json::json!({
            "method": sign.method, "url": sign.url, "headers": headers,
            "body": std::str::from_utf8(&signed.body).ok(),
            "body_base64": STANDARD.encode(&signed.body),
        }));
    }
    if sign.curl {
        return say(curl(sign, body, signed));
    }
    for (name, value) in &signed.headers {
        say(format_args!("{name}: {value}"))?;
    }
    if signed.body != body {
        say("")?;
        say(String::from_utf8_lossy(&signed.body))?;
    }
    Ok(())
}

/// A command for a POSIX shell.
fn curl(sign: &Sign, body: &[u8], signed: &Signed) -> String {
    let mut command = format!("curl -sS -X {}", quoted(&sign.method));
    let given = sign.header.iter().map(|h| (&h.name, &h.value));
    let added = signed.headers.iter().map(|(name, value)| (name, value));
    let all: Vec<_> = given.chain(added).collect();
    if !all.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        command.push_str(" -H 'Content-Type: application/json'");
    }
    for (name, value) in all {
        command.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    let file = sign.body.display().to_string();
    if signed.body == body && file != "-" {
        command.push_str(&format!(" --data-binary {}", quoted(&format!("@{file}"))));
    } else {
        let text = String::from_utf8_lossy(&signed.body);
        command.push_str(&format!(" --data-raw {}", quoted(&text)));
    }
    format!("{command} {}", quoted(&sign.url))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_every_text_as_one_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
