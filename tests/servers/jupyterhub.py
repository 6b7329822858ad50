"""JupyterHub (PyPI `jupyterhub`), with its SQLite database. Its proxy is left out: Muster asks the hub itself."""

from datetime import datetime, timezone

from server import Server, call, install_venv, read_sqlite

USERS = 230
ROOT_TOKEN = "0123456789abcdef0123456789abcdef"

CONFIG = f"""
from jupyterhub.proxy import Proxy

class NoProxy(Proxy):
    should_start = False

    def __init__(self, **options):
        super().__init__(**options)
        self.routes = {{}}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes

c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:PORT"
c.JupyterHub.api_page_max_limit = 50
# Who uses a token is active; not again, so that the register can be compared.
c.JupyterHub.activity_resolution = 86400
c.JupyterHub.services = [{{"name": "root", "api_token": "{ROOT_TOKEN}"}}]
c.JupyterHub.load_roles = [{{"name": "admin", "services": ["root"]}}]
"""


class JupyterHub(Server):
    key = key_of_test = "jupyterhub"
    # It can only delete accounts, not switch them off.
    steps = ("demoted", "deleted")

    def install(self):
        self.bin = install_venv(self.home, "jupyterhub")

    def prepare(self):
        (self.data / "jupyterhub_config.py").write_text(CONFIG.replace("PORT", str(self.port)))

    def start(self):
        process = self.start_process([self.bin / "python", "-m", "jupyterhub"])
        process.wait_for(f"{self.url}/hub/api/")

    def populate(self):
        names = [f"user-{number}@example.org" if number % 3 else f"user {number}" for number in range(USERS)]
        self.api("POST", "users", {"usernames": names})
        self.api("POST", "users", {"usernames": ["muster", "ann", "ben"], "admin": True})
        for name in ("muster", "ann"):
            token = self.api("POST", f"users/{name}/tokens", {})["token"]
            call("GET", f"{self.url}/hub/api/user", {"Authorization": f"token {token}"})

    def credential(self):
        scopes = ["list:users", "read:users:activity"]
        self.token = self.api("POST", "users/muster/tokens", {"scopes": scopes})
        return {"base_url": self.url, "token": self.token["token"]}

    def revoke(self):
        self.api("DELETE", f"users/muster/tokens/{self.token['id']}")

    def demoted(self):
        self.api("PATCH", "users/ben", {"admin": False})

    def deleted(self):
        self.api("DELETE", "users/user-7@example.org")

    def truth(self):
        users = {}
        for name, admin, active in read_sqlite(
            self.data / "jupyterhub.sqlite", "SELECT name, admin, last_activity FROM users"
        ):
            users[name] = {
                "email": name if "@" in name else None,
                "displayName": name,
                "status": "ACTIVE",
                "isAdmin": bool(admin),
                "mfaEnabled": None,
                "lastActiveAt": active and datetime.fromisoformat(active).replace(tzinfo=timezone.utc),
            }
        return users

    def api(self, method, path, body=None):
        path = path.replace("@", "%40")
        return call(method, f"{self.url}/hub/api/{path}", {"Authorization": f"token {ROOT_TOKEN}"}, body)
