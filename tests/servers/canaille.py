"""Canaille, an identity server (PyPI `canaille`), by SCIM, with its SQLite database."""

import base64
import json
import os
import urllib.request

from server import Server, call, execute, install_venv, opener, read_sqlite

USERS = 230

CONFIG = """
SECRET_KEY = "secret"
[CANAILLE]
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{data}/canaille.db"
[CANAILLE_OIDC]
ACTIVE_JWKS = [{key}]
[CANAILLE_SCIM]
ENABLE_SERVER = true
"""


class Canaille(Server):
    key_of_test = "canaille"
    key = "scim"
    # By SCIM it tells of no administrators.
    steps = ("deactivated", "deleted")

    def install(self):
        self.bin = install_venv(self.home, "canaille")

    def prepare(self):
        key = execute([self.bin / "canaille", "jwk", "create", "rsa", "--format", "toml"]).strip()
        config = self.data / "canaille.toml"
        config.write_text(CONFIG.format(data=self.data, key=key))
        self.environment = os.environ | {"CANAILLE_CONFIG": str(config)}
        self.canaille("install")
        self.clients = 0

    def start(self):
        address = self.url.removeprefix("http://")
        process = self.start_process([self.bin / "canaille", "run", "--bind", address], self.environment)
        process.wait_for(f"{self.url}/.well-known/openid-configuration")

    def populate(self):
        self.token = self.token_of(*self.client())
        self.ids = {}
        for number in range(USERS):
            user = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"user-{number}",
                "name": {"givenName": "User", "familyName": str(number), "formatted": f"User {number}"},
                "emails": [{"value": f"user-{number}@example.org"}],
                "active": number % 10 != 0,
            }
            if number % 3:
                user["displayName"] = f"The user {number}"
            self.ids[number] = self.scim("POST", "Users", user)["id"]

    def credential(self):
        self.last = self.client()
        client, secret = self.last
        token_url = f"{self.url}/oauth/token"
        settings = {"authentication": "oauth_client", "base_url": f"{self.url}/scim/v2", "token_url": token_url}
        return settings | {"client_id": client, "client_secret": secret}

    def revoke(self):
        self.canaille("delete", "client", "--noconfirm", "--client-id", self.last[0])

    def deactivated(self):
        operation = {"op": "replace", "path": "active", "value": False}
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        self.scim("PATCH", f"Users/{self.ids[5]}", {"schemas": schemas, "Operations": [operation]})

    def deleted(self):
        self.scim("DELETE", f"Users/{self.ids[6]}")

    def truth(self):
        users = {}
        for user, emails, display_name, formatted_name, lock_date in read_sqlite(
            self.data / "canaille.db", "SELECT id, emails, display_name, formatted_name, lock_date FROM user"
        ):
            users[user] = {
                "email": json.loads(emails)[0],
                "displayName": display_name or formatted_name,
                "status": "SUSPENDED" if lock_date else "ACTIVE",
                "isAdmin": None,
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def client(self):
        """Makes an OAuth client, and returns its id and secret."""
        self.clients += 1
        client, secret = f"client-{self.clients}", f"secret-{self.clients}"
        made = ["--client-id", client, "--client-secret", secret, "--client-name", client]
        may = ["--grant-types", "client_credentials", "--token-endpoint-auth-method", "client_secret_basic"]
        self.canaille("create", "client", *made, *may)
        return client, secret

    def token_of(self, client, secret):
        signed = base64.b64encode(f"{client}:{secret}".encode()).decode()
        body = b"grant_type=client_credentials"
        request = urllib.request.Request(f"{self.url}/oauth/token", body, {"Authorization": f"Basic {signed}"})
        with opener.open(request) as response:
            return json.load(response)["access_token"]

    def scim(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        return call(method, f"{self.url}/scim/v2/{path}", headers, body)

    def canaille(self, *arguments):
        execute([self.bin / "canaille", *arguments], self.environment)
