"""Verifies messages with the library that receivers use.

Reads {"secrets": [secret, …], "messages": [{"headers": {…}, "body": text}, …]} and writes, for each message, a list with
the error of each secret, or null if the signature is right.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def fault(secret, message):
    try:
        Webhook(secret).verify(message["body"], message["headers"])
    except WebhookVerificationError as error:
        return str(error) or "refused"
    return None


task = json.load(sys.stdin)
json.dump([[fault(secret, message) for secret in task["secrets"]] for message in task["messages"]], sys.stdout)
