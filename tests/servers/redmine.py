"""Redmine (Debian `redmine-sqlite`), with its SQLite database."""

import base64
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

from server import Server, call, execute, install_packages, read_sqlite

SHIPPED = Path("/usr/share/redmine")
# Two pages of active ones.
USERS = 120
ACTIVE, REGISTERED, LOCKED = 1, 2, 3
STATUSES = {ACTIVE: "ACTIVE", REGISTERED: "INVITED", LOCKED: "SUSPENDED"}
PASSWORD = "correct horse"

DATABASE = """
production:
  adapter: sqlite3
  database: {file}
  timeout: 10000
"""


class Redmine(Server):
    key = key_of_test = "redmine"
    steps = ("demoted", "locked", "deleted")

    def install(self):
        install_packages("redmine", "redmine-sqlite", "puma")

    def prepare(self):
        # A copy, because Debian's Redmine looks for its instances in a folder of its own.
        self.app = self.data / "app"
        shutil.copytree(SHIPPED, self.app, ignore=shutil.ignore_patterns("instances"), ignore_dangling_symlinks=True)
        instance = self.app / "instances/trial"
        for folder in ("config", "files", "log", "tmp", "public/plugin_assets"):
            (instance / folder).mkdir(parents=True)
        database = DATABASE.format(file=self.data / "redmine.db")
        for config in (instance / "config", self.app / "config"):
            (config / "database.yml").write_text(database)
        (instance / "config/secret_key.txt").write_text("0123456789abcdef0123456789abcdef\n")
        self.environment = os.environ | {"X_DEBIAN_SITEID": "trial", "RAILS_ENV": "production"}
        execute(["ruby", "bin/rake", "db:migrate"], self.environment, cwd=self.app)
        self.root = self.ruby('Setting.rest_api_enabled = "1"; puts User.find_by_login("admin").api_key').strip()

    def start(self):
        address = self.url.replace("http", "tcp")
        puma = ["puma", "--bind", address, "--threads", "1:4", "--dir", self.app, self.app / "config.ru"]
        self.start_process(puma, self.environment).wait_for(f"{self.url}/login")

    def populate(self):
        self.ids = {}
        for number in range(USERS):
            self.create(f"user-{number}", number % 40 == 0)
        self.create("muster", True)
        self.change("user-7", status=REGISTERED)
        self.change("user-8", status=LOCKED)
        self.change("user-9", status=LOCKED)
        self.ruby('User.where(login: %w[user-3 user-4]).update_all(twofa_scheme: "totp")')
        # Who signs in with a password has been active.
        signed = base64.b64encode(f"user-5:{PASSWORD}".encode()).decode()
        call("GET", f"{self.url}/users/current.json", {"Authorization": f"Basic {signed}"})

    def credential(self):
        # Makes a key if there is none.
        user = self.api("GET", f"users/{self.ids['muster']}")["user"]
        return {"base_url": self.url, "key": user["api_key"]}

    def revoke(self):
        self.ruby('Token.where(user: User.find_by_login("muster"), action: "api").destroy_all')

    def demoted(self):
        self.change("user-40", admin=False)

    def locked(self):
        self.change("user-10", status=LOCKED)

    def deleted(self):
        self.api("DELETE", f"users/{self.ids['user-11']}")

    def truth(self):
        database = self.data / "redmine.db"
        addresses = dict(read_sqlite(database, "SELECT user_id, address FROM email_addresses WHERE is_default"))
        users = {}
        for user, first, last, status, admin, twofa, login in read_sqlite(
            database,
            "SELECT id, firstname, lastname, status, admin, twofa_scheme, last_login_on FROM users WHERE type = 'User'",
        ):
            users[str(user)] = {
                "email": addresses.get(user),
                "displayName": f"{first} {last}",
                "status": STATUSES[status],
                "isAdmin": bool(admin),
                "mfaEnabled": twofa is not None,
                # Its API tells whole seconds.
                "lastActiveAt": login and datetime.fromisoformat(login).replace(microsecond=0, tzinfo=timezone.utc),
            }
        return users

    def create(self, login, admin):
        user = {"login": login, "firstname": "The", "lastname": login, "mail": f"{login}@example.org"}
        made = self.api("POST", "users", {"user": user | {"password": PASSWORD, "admin": admin}})
        self.ids[login] = made["user"]["id"]

    def change(self, login, **changes):
        self.api("PUT", f"users/{self.ids[login]}", {"user": changes})

    def api(self, method, path, body=None):
        return call(method, f"{self.url}/{path}.json", {"X-Redmine-API-Key": self.root}, body)

    def ruby(self, code):
        return execute(["ruby", "bin/rails", "runner", code], self.environment, cwd=self.app)
