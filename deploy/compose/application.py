"""The application of `try`: takes deliveries, verifies each and writes down what it got.

    python3 application.py PORT SECRET-FILE LOG

One line a delivery that verifies: the provider's event id, a space, the webhook-id. Anything else is
answered 401 and written down as a line that begins with `refused`.
"""

import base64
import hashlib
import hmac
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

port, secret_file, log = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
key = base64.b64decode(secret_file.read_text().strip().removeprefix("whsec_"))
lock = threading.Lock()


class Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event, line = self.headers["webhook-id"], "refused"
        signed = f"{event}.{self.headers['webhook-timestamp']}.".encode() + body
        want = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        given = self.headers["webhook-signature"].split(" ")
        if any(hmac.compare_digest(f"v1,{want}", one) for one in given):
            line = f"{json.loads(body)['data']['id']} {event}"
        with lock, log.open("a") as file:
            file.write(line + "\n")
        self.send_response(401 if line == "refused" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Application).serve_forever()
