"""What the servers have in common: a folder, processes, HTTP, and a venv."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_TIMEOUT = 300
STOP_TIMEOUT = 30

# No proxy: everything is on this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unavailable(Exception):
    """The server cannot be installed on this machine."""


class Server:
    """A real server.

    A class for one has `key` (of the integration) and these methods besides those below:

        install()     installs it into `home`, once
        prepare()     makes `data` ready
        start()       starts it and waits until it answers
        populate()    creates users
        credential()  makes a new credential, and returns the settings that connect it
        revoke()      makes the last credential worthless
        truth()       the users by id, read from the server's own store; a field that is absent is not compared
        steps         the names of methods that change something, each of which is followed by a run
    """

    def __init__(self, home, data):
        self.home = home
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes = []

    def start_process(self, command, environment=None):
        name = f"{self.key}-{len(self.processes)}"
        process = Process(command, self.data, name, environment)
        self.processes.append(process)
        return process

    def stop(self):
        while self.processes:
            self.processes.pop().stop()


class Process:
    """A process, whose output goes to a file in its folder."""

    def __init__(self, command, folder, name, environment=None):
        self.log = Path(folder) / f"{name}.log"
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, url):
        """Waits until something answers there."""
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with opener.open(url, timeout=10):
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return
            except OSError:
                pass
            if self.popen.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.popen.args[0]} did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.2)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                pass
        # Its children are in its session. Those that it left behind end with it.
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()


def call(method, url, headers=None, body=None):
    """Sends a request with a JSON body, and returns the JSON response."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | (headers or {})
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with opener.open(request, timeout=120) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode()[:2000]}") from None
    return json.loads(text) if text.strip() else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def install_venv(home, name):
    """Installs what requirements/NAME.txt pins, and returns the folder of its programs."""
    wanted = HERE / "requirements" / f"{name}.txt"
    installed = home / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        venv.create(home, clear=True, with_pip=True)
        pip = [home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted]
        execute(pip)
        installed.write_text(wanted.read_text())
    return home / "bin"


def install_packages(*packages):
    """Installs Debian packages, without starting what they bring."""
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    if os.getuid() != 0 or not Path("/usr/bin/apt-get").exists():
        raise Unavailable(f"as root on Debian, run: apt-get install {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    execute(["apt-get", "update", "-qq"], environment)
    execute(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], environment)


def is_installed(package):
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    try:
        return subprocess.run(query, capture_output=True, text=True).stdout == "installed"
    except FileNotFoundError:
        return False


def execute(command, environment=None, **options):
    """Runs a program to its end, and returns its output."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"[-4000:])
    return done.stdout


def read_sqlite(path, query):
    """The rows of a query on the database of a server that is running."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def time_of(seconds):
    """A time since 1970 as the API writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
