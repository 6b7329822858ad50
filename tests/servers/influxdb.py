"""InfluxDB 1 (Debian `influxdb`)."""

import base64
import csv
import io
import json
import urllib.parse
import urllib.request

from server import Server, free_port, install_packages, opener

USERS = 230
PASSWORD = "correct horse"

CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{data}/meta"
[data]
dir = "{data}/data"
wal-dir = "{data}/wal"
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
"""


class InfluxDB(Server):
    key = key_of_test = "influxdb"
    # It can only delete users, not switch them off.
    steps = ("demoted", "deleted")

    def install(self):
        install_packages("influxdb")

    def prepare(self):
        self.config = self.data / "influxdb.conf"
        self.config.write_text(CONFIG.format(data=self.data, port=self.port, rpc=free_port()))

    def start(self):
        self.start_process(["influxd", "run", "-config", self.config]).wait_for(f"{self.url}/ping")

    def populate(self):
        self.query(f"CREATE USER root WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")
        for number in range(USERS):
            self.query(f"CREATE USER \"user-{number}\" WITH PASSWORD '{PASSWORD}'")
            if number % 50 == 0:
                self.query(f'GRANT ALL PRIVILEGES TO "user-{number}"')
        self.query(f"CREATE USER \"ann@example.org\" WITH PASSWORD '{PASSWORD}'")
        self.query(f"CREATE USER muster WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")
        self.credentials = 0

    def credential(self):
        self.credentials += 1
        password = f"password-{self.credentials}"
        self.query(f"SET PASSWORD FOR muster = '{password}'")
        return {"url": self.url, "username": "muster", "password": password}

    def revoke(self):
        self.query("SET PASSWORD FOR muster = 'another one'")

    def demoted(self):
        self.query('REVOKE ALL PRIVILEGES FROM "user-50"')

    def deleted(self):
        self.query('DROP USER "user-7"')

    def truth(self):
        """Its store is for itself only; this is another form of the answer."""
        users = {}
        for row in csv.DictReader(io.StringIO(self.query("SHOW USERS", "application/csv"))):
            users[row["user"]] = {
                "email": row["user"] if "@" in row["user"] else None,
                "displayName": row["user"],
                "status": "ACTIVE",
                "isAdmin": row["admin"] == "true",
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def query(self, query, form="application/json"):
        signed = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
        body = urllib.parse.urlencode({"q": query}).encode()
        request = urllib.request.Request(
            f"{self.url}/query", body, {"Authorization": f"Basic {signed}", "Accept": form}
        )
        with opener.open(request) as response:
            text = response.read().decode()
        if form == "application/json" and "error" in json.loads(text)["results"][0]:
            raise RuntimeError(f"{query}: {text}")
        return text
