"""Verifies recorded deliveries with the Python libraries, for sdk.test.mjs.

Reads {"secret", "other_secret", "deliveries": [{"headers", "body"}]} on standard input (bodies in
base64) and prints, for each library, how many it took and how many forgeries it refused.
"""

import base64
import json
import sys

import standardwebhooks.webhooks
import svix.webhooks

LIBRARIES = {
    "standardwebhooks": standardwebhooks.webhooks,
    "svix": svix.webhooks,
}


def takes(library, secret, headers, body):
    try:
        library.Webhook(secret).verify(body, headers)
        return True
    except library.WebhookVerificationError:
        return False


def forgeries(headers, body):
    yield headers, body[:-1] + b" }"
    yield {**headers, "webhook-id": headers["webhook-id"] + "0"}, body
    yield {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, body
    yield {**headers, "webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()}, body


def main():
    given = json.load(sys.stdin)
    verdicts = {}
    for name, library in LIBRARIES.items():
        verdict = {"taken": 0, "forged": 0, "refused": 0}
        for delivery in given["deliveries"]:
            headers, body = delivery["headers"], base64.b64decode(delivery["body"])
            verdict["taken"] += takes(library, given["secret"], headers, body)
            attempts = [(given["secret"], *forgery) for forgery in forgeries(headers, body)]
            attempts.append((given["other_secret"], headers, body))
            verdict["forged"] += len(attempts)
            verdict["refused"] += sum(not takes(library, *attempt) for attempt in attempts)
        verdicts[name] = verdict
    json.dump(verdicts, sys.stdout)


main()
