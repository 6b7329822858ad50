"""A MariaDB (Debian `mariadb-server`) in a server's own data folder, for servers that need one."""

import time

from server import START_TIMEOUT, execute


class MariaDB:
    PACKAGES = ("mariadb-server",)

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.folder = server.data / "mariadb"
        self.socket = server.data / "mariadb.sock"

    def create(self):
        """Makes an empty database, and leaves it running."""
        install = ["mariadb-install-db", "--no-defaults", "--user=root", "--skip-test-db", f"--datadir={self.folder}"]
        execute([*install, "--auth-root-authentication-method=normal"])
        self.start()
        execute([*self.client(), f"--execute=CREATE DATABASE {self.name}"])

    def start(self):
        where = [f"--datadir={self.folder}", f"--socket={self.socket}", f"--pid-file={self.folder}.pid"]
        small = ["--skip-networking", "--innodb-buffer-pool-size=64M"]
        process = self.server.start_process(["mariadbd", "--no-defaults", "--user=root", *where, *small])
        end = time.monotonic() + START_TIMEOUT
        # It is made when it answers, and removed when it stops.
        while not self.socket.exists():
            if process.popen.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"MariaDB did not start:\n{process.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def read(self, query):
        """The rows of a query, as texts."""
        rows = execute([*self.client(), f"--execute={query}", self.name])
        return [row.split("\t") for row in rows.splitlines()]

    def client(self):
        return ["mariadb", "--no-defaults", "--user=root", f"--socket={self.socket}", "--batch", "--skip-column-names"]
