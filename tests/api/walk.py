#!/usr/bin/env python3
"""Asks a gateway whatever its OpenAPI documents allow, and whatever they forbid.

Starts a gateway of its own with an event, a delivery and an endpoint, and lets schemathesis ask the API
for applications with no key, a key that may only read, one that may do everything, and one of another
customer; and the API for operators with no session, and as a viewer, an operator and an administrator,
the last one at a second gateway, too, where what changes something needs a second person: each as long as the seconds given. No answer may be a server's error, have a status or a shape that the document does
not have, or be let in without a key.

    COUNTERSIGN=target/debug/countersign tests/api/walk.py [SECONDS]
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

BINARY = os.path.abspath(os.environ.get("COUNTERSIGN", "target/debug/countersign"))
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
# Not "unsupported_method": it sends GET with a body, which the gate refuses before any route (400).
# Not "ignored_auth" and "missing_required_header": they fail so often that they are told to wait (429). The walk in Rust sees to both.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
    "negative_data_rejection",
]
READING = ["events:read", "deliveries:read", "endpoints:read"]
DOING = ["events:decide", "deliveries:redeliver", "endpoints:change"]
EVENT = {
    "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False,
    "created": 1767225600,
    "data": {"object": {
        "id": "cs_test_1", "object": "checkout.session", "customer": "cus_1",
        "payment_status": "paid", "amount_total": 2900, "currency": "usd",
        "client_reference_id": "order-1",
    }},
}


class Application(http.server.BaseHTTPRequestHandler):
    """Takes whatever is delivered."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Gateway:
    """A gateway in a folder of its own."""

    def __init__(self, folder, more=""):
        self.config = folder / "countersign.toml"
        self.application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
        threading.Thread(target=self.application.serve_forever, daemon=True).start()
        subprocess.run([BINARY, "init", "--dir", folder], check=True, capture_output=True)
        text = self.config.read_text()
        text = re.sub(r'"127\.0\.0\.1:848\d"', '"127.0.0.1:0"', text)
        address = f"127.0.0.1:{self.application.server_port}"
        self.config.write_text(text.replace("127.0.0.1:9000", address) + more)
        self.environment = folder / ".env"
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            self.words("serve", "--json"), stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addresses = json.loads(self.process.stdout.readline())

    def words(self, *words):
        return [BINARY, "--config", str(self.config), "--env-file", str(self.environment), *words]

    def run(self, *words):
        done = subprocess.run(self.words(*words), check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def key(self, permissions, *words):
        allow = [word for one in permissions for word in ("--allow", one)]
        [made] = self.run("keys", "create", "walk", *allow, *words, "--json")
        return made["key"]

    def operator(self, role):
        """Adds an operator, and signs them in; gives the token."""
        [made] = self.run("operators", "add", role, "--role", role, "--json")
        shown = {"login": role, "password": made["password"], "code": code(made["totp_secret"])}
        request = urllib.request.Request(
            f"http://{self.addresses['admin']}/admin/v1/sign-in", json.dumps(shown).encode(),
            {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())["token"]

    def receive(self, body):
        """Takes a webhook, and waits until it is delivered."""
        secrets = dict(line.split("=", 1) for line in self.environment.read_text().splitlines()
                       if "=" in line and not line.startswith("#"))
        url = f"http://{self.addresses['public']}/in/stripe"
        file = self.config.parent / "body.json"
        file.write_text(json.dumps(body))
        signed = json.loads(subprocess.run(
            self.words("sign", "--provider", "stripe", "--secret-env", "STRIPE_WEBHOOK_SECRET",
                       "--body", str(file), "--url", url, "--json"),
            check=True, capture_output=True, text=True, env={**os.environ, **secrets}).stdout)
        headers = {one["name"]: one["value"] for one in signed["headers"]}
        headers["content-type"] = "application/json"
        request = urllib.request.Request(url, signed["body"].encode(), headers)
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        for _ in range(1_200):
            deliveries = self.run("deliveries", "list", "--json")
            if deliveries and deliveries[0]["status"] == "delivered":
                return deliveries[0]
            time.sleep(0.05)
        raise SystemExit("the event was not delivered")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.application.shutdown()
        self.log.close()


def code(secret):
    """The code of this moment (RFC 6238)."""
    step = int(time.time()) // 30
    tag = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = tag[-1] & 15
    number = int.from_bytes(tag[at:at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def with_examples(document, delivery):
    """The document with things that there are, so that some requests are good ones."""
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                name = parameter["name"]
                if parameter["in"] == "path":
                    parameter["example"] = "app" if name == "name" else thing_of(path, delivery)
                elif name == "event":
                    parameter["example"] = delivery["event"]
    return document


def thing_of(path, things):
    """The id of something that a path can be about."""
    of = {"/v1/events": "event", "/admin/v1/operators": "operator", "/admin/v1/keys": "key"}
    known = [name for start, name in of.items() if path.startswith(start)]
    return things[known[0] if known else "id"]


def ask(document, url, seconds, key, *more):
    """Lets schemathesis ask."""
    words = [
        SCHEMATHESIS, "run", document, "--url", url, "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing", "--max-time", str(seconds), "--workers", "1",
        "--rate-limit", "90/s", "--generation-database", "none", "--warnings", "off",
        "--max-failures", "5", "--suppress-health-check", "all", "--no-color",
    ]
    words += ["--header", f"Authorization: Bearer {key}"] if key else []
    words += more
    environment = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment,
                          cwd=tempfile.gettempdir(), timeout=seconds * 3 + 120)
    return done


def judge(name, done, wrong):
    """Says how it went."""
    said = [line for line in done.stdout.splitlines() if "generated" in line.lower()]
    print(f"{name}: {'good' if done.returncode == 0 else 'WRONG'} {' '.join(said)}")
    if done.returncode:
        wrong.append(name)
        print(done.stdout[-6000:], done.stderr[-2000:])


def walk_office(gateway, folder, roles, seconds, wrong):
    """Asks the API for operators with no session and in each role; gives the tokens that were shown."""
    [somebody] = gateway.run("operators", "add", "somebody", "--role", "viewer", "--json")
    [key] = gateway.run("keys", "create", "example", "--allow", "events:read", "--json")
    things = {"operator": somebody["id"], "key": key["id"], "id": "apr_01kdvdna00ew3re1r70w3ge1r7"}
    admin = f"http://{gateway.addresses['admin']}"
    with urllib.request.urlopen(f"{admin}/admin/v1/openapi.json") as answer:
        document = with_examples(json.loads(answer.read()), things)
    file = folder / "admin.json"
    file.write_text(json.dumps(document))
    tokens = {role: gateway.operator(role) if role else None for role in roles}
    for role, token in tokens.items():
        # Whoever signs out or has a new password is nobody any more.
        done = ask(str(file), admin, seconds, token, "--exclude-operation-id", "sign_out",
                   "--exclude-operation-id", "change_password")
        judge(role or "no session", done, wrong)
    return {role: token for role, token in tokens.items() if role}


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with tempfile.TemporaryDirectory(prefix="countersign-api-") as folder:
        gateway = Gateway(Path(folder))
        try:
            delivery = gateway.receive(EVENT)
            keys = {
                "no key": None,
                "a key that may read": gateway.key(READING),
                "a key that may do everything": gateway.key(READING + DOING),
                "a key of another customer": gateway.key(
                    READING + DOING, "--provider", "stripe", "--customer", "cus_2"),
            }
            time.sleep(0.5)  # until the gateway knows them
            document = json.loads(subprocess.run(
                [BINARY, "openapi"], check=True, capture_output=True).stdout)
            file = Path(folder) / "openapi.json"
            file.write_text(json.dumps(with_examples(document, delivery)))
            wrong = []
            for name, key in keys.items():
                done = ask(str(file), f"http://{gateway.addresses['api']}", seconds, key)
                judge(name, done, wrong)
            roles = [None, "viewer", "operator", "administrator"]
            keys |= walk_office(gateway, Path(folder), roles, seconds, wrong)
            log = (Path(folder) / "log").read_text()
            shown = [name for name, key in keys.items() if key and key in log]
            if shown:
                wrong.append("the log")
                print(f"keys stand in the log: {', '.join(shown)}")
        finally:
            gateway.stop()
    two = '\n[admin]\nsecond_person = ["operators:change", "keys:change", "operators:read"]\n'
    with tempfile.TemporaryDirectory(prefix="countersign-api-") as folder:
        gateway = Gateway(Path(folder), two)
        try:
            print("with a second person:")
            walk_office(gateway, Path(folder), ["administrator"], seconds, wrong)
        finally:
            gateway.stop()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
