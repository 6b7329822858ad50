"""RabbitMQ with its management plugin (Debian `rabbitmq-server`)."""

import base64
import json
import os
import urllib.parse
from pathlib import Path

from server import Server, call, execute, free_port, install_packages

USERS = 230
PASSWORD = "correct-horse"
PROGRAMS = Path("/usr/lib/rabbitmq/bin")

CONFIG = """
listeners.tcp.local = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {port}
default_user = root
default_pass = {password}
"""


class RabbitMQ(Server):
    key = key_of_test = "rabbitmq"
    # It can only delete users, not switch them off.
    steps = ("demoted", "deleted")

    def install(self):
        install_packages("rabbitmq-server")

    def prepare(self):
        (self.data / "rabbitmq.conf").write_text(CONFIG.format(amqp=free_port(), port=self.port, password=PASSWORD))
        (self.data / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.data / "advanced.config").write_text("[].\n")
        self.mapper = free_port()
        self.environment = os.environ | {
            "HOME": str(self.data),
            "ERL_EPMD_PORT": str(self.mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "muster@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(self.data / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.data / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.data / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.data / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.data / "log"),
            "RABBITMQ_PID_FILE": str(self.data / "pid"),
        }

    def start(self):
        # The server would leave one behind.
        self.start_process(["epmd", "-port", self.mapper, "-address", "127.0.0.1"], self.environment)
        server = self.start_process([PROGRAMS / "rabbitmq-server"], self.environment)
        server.wait_for(f"{self.url}/api/overview")

    def populate(self):
        for number in range(USERS):
            tags = ["administrator", "monitoring", "", "impersonator"][number % 4]
            self.api("PUT", f"users/user-{number}", {"password_hash": "", "tags": tags})
        self.api("PUT", "users/ann@example.org", {"password_hash": "", "tags": "management,administrator"})
        self.credentials = 0

    def credential(self):
        self.credentials += 1
        self.password = f"password-{self.credentials}"
        self.api("PUT", "users/muster", {"password": self.password, "tags": "administrator"})
        return {"base_url": self.url, "username": "muster", "password": self.password}

    def revoke(self):
        self.api("PUT", "users/muster", {"password": "another one", "tags": "administrator"})

    def demoted(self):
        self.api("PUT", "users/user-4", {"password_hash": "", "tags": "monitoring"})

    def deleted(self):
        self.api("DELETE", "users/user-5")

    def truth(self):
        command = [PROGRAMS / "rabbitmqctl", "--quiet", "--node", "muster@localhost", "--formatter", "json"]
        users = {}
        for user in json.loads(execute([*command, "list_users"], self.environment)):
            name = user["user"]
            users[name] = {
                "email": name if "@" in name else None,
                "displayName": name,
                "status": "ACTIVE",
                "isAdmin": "administrator" in user["tags"],
                "mfaEnabled": None,
                "lastActiveAt": None,
            }
        return users

    def api(self, method, path, body=None):
        signed = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
        path = urllib.parse.quote(path)
        return call(method, f"{self.url}/api/{path}", {"Authorization": f"Basic {signed}"}, body)
