"""Synapse, a Matrix homeserver (PyPI `matrix-synapse`), with its SQLite database."""

import time

from server import Server, call, execute, install_venv, read_sqlite, time_of

PASSWORD = "correct horse battery"
# Two pages; each costs a request of its own.
USERS = 120
ACTIVE_USERS = 3

CONFIG = """
server_name: example.org
pid_file: {data}/synapse.pid
listeners:
  - {{port: {port}, bind_addresses: [127.0.0.1], type: http, resources: [{{names: [client]}}]}}
database: {{name: sqlite3, args: {{database: {data}/homeserver.db}}}}
media_store_path: {data}/media
signing_key_path: {data}/signing.key
registration_shared_secret: shared
bcrypt_rounds: 4
report_stats: false
suppress_key_server_warning: true
trusted_key_servers: []
rc_login:
  address: {{per_second: 1000, burst_count: 1000}}
  account: {{per_second: 1000, burst_count: 1000}}
"""


def name_of(number):
    return f"@user-{number}:example.org"


class Synapse(Server):
    key = key_of_test = "synapse"
    steps = ("demoted", "suspended", "locked", "deactivated")

    def install(self):
        self.bin = install_venv(self.home, "synapse")

    def prepare(self):
        self.config = self.data / "homeserver.yaml"
        self.config.write_text(CONFIG.format(data=self.data, port=self.port))
        self.command = [self.bin / "python", "-m", "synapse.app.homeserver", "-c", self.config]
        execute([*self.command, "--generate-keys"], cwd=self.data)

    def start(self):
        self.start_process(self.command).wait_for(f"{self.url}/health")

    def populate(self):
        register = [self.bin / "register_new_matrix_user", "-c", self.config, "-a", "-p", PASSWORD]
        for name in ("root", "muster"):
            execute([*register, "-u", name, self.url])
        self.root = self.login("@root:example.org")
        for number in range(USERS):
            account = {"admin": number % 50 == 0}
            if number % 10:
                account["displayname"] = f"User {number}"
            if number % 7:
                account["threepids"] = [{"medium": "email", "address": f"user-{number}@example.org"}]
            if number < ACTIVE_USERS:
                account["password"] = PASSWORD
            self.admin("PUT", f"v2/users/{name_of(number)}", account)
        self.admin("PUT", "v2/users/@robot:example.org", {"user_type": "bot"})
        self.admin("PUT", f"v2/users/{name_of(11)}", {"locked": True})
        self.admin("POST", f"v1/deactivate/{name_of(12)}", {"erase": False})
        self.admin("PUT", f"v1/suspend/{name_of(13)}", {"suspend": True})
        for number in range(ACTIVE_USERS):
            self.matrix("GET", "account/whoami", self.login(name_of(number)))
        # Synapse writes every few seconds who was active.
        while len(self.read("SELECT DISTINCT user_id FROM user_ips")) < ACTIVE_USERS:
            time.sleep(0.2)

    def credential(self):
        self.token = self.login("@muster:example.org")
        return {"authentication": "token", "base_url": self.url, "token": self.token}

    def revoke(self):
        self.matrix("POST", "logout", self.token)

    def demoted(self):
        self.admin("PUT", f"v1/users/{name_of(50)}/admin", {"admin": False})

    def suspended(self):
        self.admin("PUT", f"v1/suspend/{name_of(20)}", {"suspend": True})

    def locked(self):
        self.admin("PUT", f"v2/users/{name_of(21)}", {"locked": True})

    def deactivated(self):
        self.admin("POST", f"v1/deactivate/{name_of(22)}", {"erase": False})

    def truth(self):
        names = dict(self.read("SELECT full_user_id, displayname FROM profiles"))
        addresses = dict(self.read("SELECT user_id, address FROM user_threepids WHERE medium = 'email'"))
        seen = dict(self.read("SELECT user_id, MAX(last_seen) FROM user_ips GROUP BY user_id"))
        users = {}
        for name, admin, deactivated, locked, suspended in self.read(
            "SELECT name, admin, deactivated, locked, suspended FROM users"
        ):
            users[name] = {
                "email": addresses.get(name),
                "displayName": names.get(name) or name,
                "status": "SUSPENDED" if deactivated or locked or suspended else "ACTIVE",
                "isAdmin": bool(admin),
                "mfaEnabled": None,
            }
            # The two that are used meanwhile.
            if name not in ("@root:example.org", "@muster:example.org"):
                users[name]["lastActiveAt"] = time_of(seen[name] / 1000 if name in seen else None)
        return users

    def read(self, query):
        return read_sqlite(self.data / "homeserver.db", query)

    def login(self, user):
        identifier = {"type": "m.id.user", "user": user}
        body = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        return call("POST", f"{self.url}/_matrix/client/v3/login", body=body)["access_token"]

    def matrix(self, method, path, token):
        call(method, f"{self.url}/_matrix/client/v3/{path}", {"Authorization": f"Bearer {token}"})

    def admin(self, method, path, body):
        call(method, f"{self.url}/_synapse/admin/{path}", {"Authorization": f"Bearer {self.root}"}, body)
