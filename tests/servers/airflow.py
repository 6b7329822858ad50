"""Apache Airflow with the FAB auth manager (PyPI `apache-airflow-providers-fab`), with its SQLite database."""

import contextlib
import os
import sqlite3
from datetime import datetime, timezone

from server import Server, call, execute, install_venv, read_sqlite

# Two pages.
USERS = 120
PASSWORD = "correct horse battery"


class Airflow(Server):
    key = key_of_test = "airflow"
    steps = ("demoted", "deactivated", "deleted")

    def install(self):
        self.bin = install_venv(self.home, "airflow")

    def prepare(self):
        self.environment = os.environ | {
            "AIRFLOW_HOME": str(self.data),
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.data}/airflow.db",
            "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
            "AIRFLOW__API__SECRET_KEY": "0123456789abcdef" * 2,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        self.airflow("db", "migrate")
        names = ["--username", "root", "--firstname", "The", "--lastname", "root", "--email", "root@example.org"]
        self.airflow("users", "create", *names, "--role", "Admin", "--password", PASSWORD)

    def start(self):
        server = ["api-server", "--host", "127.0.0.1", "--port", self.port, "--workers", "1"]
        process = self.start_process([self.bin / "airflow", *server], self.environment)
        process.wait_for(f"{self.url}/api/v2/version")

    def populate(self):
        self.token = self.token_of("root")
        role = {"name": "Muster", "actions": [{"action": {"name": "can_read"}, "resource": {"name": "Users"}}]}
        self.api("POST", "roles", role)
        for number in range(USERS):
            self.person(f"user-{number}", "Admin" if number % 50 == 0 else ("Viewer", "User", "Op")[number % 3])
        self.person("muster", "Muster")
        self.token_of("user-5")
        self.set_active("user-6", False)
        self.credentials = 0

    def credential(self):
        self.credentials += 1
        password = f"{PASSWORD} {self.credentials}"
        self.api("PATCH", "users/muster?update_mask=password", {"password": password})
        return {"url": self.url, "username": "muster", "password": password}

    def revoke(self):
        self.api("PATCH", "users/muster?update_mask=password", {"password": "another one"})

    def demoted(self):
        self.api("PATCH", "users/user-50?update_mask=roles", {"roles": [{"name": "Viewer"}]})

    def deactivated(self):
        self.set_active("user-7", False)

    def deleted(self):
        self.api("DELETE", "users/user-8")

    def truth(self):
        database = self.data / "airflow.db"
        admins = {
            user
            for (user,) in read_sqlite(
                database,
                "SELECT user_id FROM ab_user_role JOIN ab_role ON ab_role.id = role_id WHERE ab_role.name = 'Admin'",
            )
        }
        users = {}
        for user, name, first, last, email, active, login in read_sqlite(
            database, "SELECT id, username, first_name, last_name, email, active, last_login FROM ab_user"
        ):
            users[name] = {
                "email": email,
                "displayName": f"{first} {last}",
                "status": "ACTIVE" if active else "SUSPENDED",
                "isAdmin": user in admins,
                "mfaEnabled": None,
            }
            # Muster signs in.
            if name != "muster":
                users[name]["lastActiveAt"] = login and datetime.fromisoformat(login).replace(tzinfo=timezone.utc)
        return users

    def set_active(self, name, active):
        # Its API cannot.
        with contextlib.closing(sqlite3.connect(self.data / "airflow.db", timeout=30)) as database, database:
            database.execute("UPDATE ab_user SET active = ? WHERE username = ?", (active, name))

    def person(self, name, role):
        person = {"username": name, "email": f"{name}@example.org", "first_name": "The", "last_name": name}
        self.api("POST", "users", person | {"password": PASSWORD, "roles": [{"name": role}]})

    def token_of(self, name):
        return call("POST", f"{self.url}/auth/token", body={"username": name, "password": PASSWORD})["access_token"]

    def api(self, method, path, body=None):
        return call(method, f"{self.url}/auth/fab/v1/{path}", {"Authorization": f"Bearer {self.token}"}, body)

    def airflow(self, *arguments):
        execute([self.bin / "airflow", *arguments], self.environment)
