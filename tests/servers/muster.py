"""A Muster of its own in a temporary folder, and its register as its API tells it."""

import os
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from server import Process, call, free_port

# The manifests as they are now, which may be newer than the program.
CONNECTORS = Path(__file__).resolve().parents[2] / "src/integration/connectors"
RUN_TIMEOUT = 600
# Minutes between two scheduled runs: so many that none takes place.
SELDOM = 43200
FIELDS = "externalId email displayName status kind isAdmin mfaEnabled lastActiveAt"


class Muster:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="muster-servers-")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("MUSTER_")} | {
            "MUSTER_LISTEN": self.url.removeprefix("http://"),
            "MUSTER_DATA_DIR": f"{self.folder.name}/data",
            "MUSTER_ALLOWED_NETWORKS": "127.0.0.0/8",
            "MUSTER_CONNECTORS_DIR": str(CONNECTORS),
        }
        self.process = None

    def __enter__(self):
        command = [self.program, "token", "create", "--name", "servers"]
        made = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        self.token = made.stdout.strip()
        self.process = Process([self.program, "serve"], self.folder.name, "muster", self.environment)
        self.process.wait_for(f"{self.url}/readyz")
        return self

    def __exit__(self, *_):
        self.process.stop()
        self.folder.cleanup()

    def ask(self, document, **variables):
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = call("POST", f"{self.url}/graphql", headers, {"query": document, "variables": variables})
        if "errors" in answer:
            raise RuntimeError(f"{document}: {answer['errors']}")
        (payload,) = answer["data"].values()
        if payload and payload.get("userErrors"):
            raise RuntimeError(f"Muster refused {variables}: {payload['userErrors']}")
        return payload

    def connect(self, key, config):
        """Connects an application and waits for its first run."""
        document = """mutation ($input: CreateInstanceInput!) {
            createInstance(input: $input) { instance { id currentSync { id } } userErrors { code message field } }
        }"""
        given = {"integrationKey": key, "name": key, "config": settings(config), "syncIntervalMinutes": SELDOM}
        instance = self.ask(document, input=given)["instance"]
        return instance["id"], self.run(instance["currentSync"]["id"])

    def update(self, instance, **changes):
        if "config" in changes:
            changes["config"] = settings(changes["config"])
        document = """mutation ($input: UpdateInstanceInput!) {
            updateInstance(input: $input) { instance { id } userErrors { code message field } }
        }"""
        self.ask(document, input={"id": instance, **changes})

    def sync(self, instance):
        """Starts a run and waits for its end. A scheduled one may have begun before the last change: then, another."""
        document = """mutation ($input: SyncInstanceInput!) {
            syncInstance(input: $input) { run { id } userErrors { code message field } }
        }"""
        while True:
            run = self.run(self.ask(document, input={"id": instance})["run"]["id"])
            if run["trigger"] != "SCHEDULED":
                return run

    def run(self, run):
        """A run, when it has ended."""
        document = """query ($id: ID!) { node(id: $id) { ... on SyncRun {
            trigger outcome seen failure { class message httpStatus lostCapabilities missingPermissions }
            instance { status inactiveReason }
        } } }"""
        end = time.monotonic() + RUN_TIMEOUT
        while True:
            answer = self.ask(document, id=run)
            if answer["outcome"]:
                return answer
            if time.monotonic() > end:
                raise RuntimeError(f"the run did not end within {RUN_TIMEOUT} s: {answer}")
            time.sleep(0.2)

    def users(self, instance):
        """The users that it reports, by the ids that the application gave them."""
        document = f"""query ($instance: ID!, $after: String) {{
            users(first: 100, after: $after, filter: {{ instanceId: $instance }}) {{
                nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }}
            }}
        }}"""
        found, after = {}, None
        while True:
            page = self.ask(document, instance=instance, after=after)
            for user in page["nodes"]:
                active = user["lastActiveAt"]
                user["lastActiveAt"] = active and datetime.fromisoformat(active)
                found[user.pop("externalId")] = user
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]


def settings(config):
    return [{"key": key, "value": value} for key, value in config.items()]
