"""A real SCIM 2.0 server with users for tests (PyPI `scim2-server[cursor]`).

    python scim.py [--port 0] [--users 250] [--token secret] [--max-page 1000] [--cursor] [--list-first]
        [--tls CERTIFICATE KEY]

Prints one line, the base address (`http://127.0.0.1:PORT/v2`, or `https` with --tls), when it is ready.
Exits when its standard input is closed, so that it ends with its test.

Control paths on the same host and port:

    PUT /control/token     the body is the only accepted token from now on
    PUT /control/users     the body is the number of users from now on
    GET /control/requests  the number of SCIM requests so far

--list-first puts "Resources" first in a response, for fault proxies that damage the first list.

User number n (from 1) has the id `user-n` and the address `user-n@example.com`.
Every tenth is disabled, every 25th is an administrator, and all have the entitlement `pro`.
"""

import argparse
import io
import json
import os
import secrets
import ssl
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import setup_testing_defaults

from scim2_models import Pagination, ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)


class Storage(InMemoryStorage):
    """Predictable ids."""

    def generate_id(self, resource_type, resource):
        return resource.user_name.partition("@")[0]


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Peer:
    """The SCIM application and the control paths."""

    def __init__(self, options):
        config = load_default_service_provider_config()
        config.authentication_schemes = [BEARER_TOKEN_SCHEME]
        config.filter.max_results = options.max_page
        if options.cursor:
            method = Pagination.DefaultPaginationMethod.cursor
            config.pagination = Pagination(cursor=True, index=True, default_pagination_method=method)
        provider = ScimProvider.from_discovery(
            load_default_schemas().values(), load_default_resource_types().values(), config=config
        )
        service = ScimService(provider, secret=secrets.token_urlsafe(32))
        self.scim = BearerTokenApplication(Storage(), provider, service=service, bearer_tokens=[options.token])
        self.reorder = options.list_first
        self.users = 0
        self.requests = 0
        self.set_users(options.users)

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if not path.startswith("/control/"):
            self.requests += 1
            return self.list_first(environ, start_response) if self.reorder else self.scim(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        if (method, path) == ("PUT", "/control/token"):
            self.scim.bearer_tokens = {body}
        elif (method, path) == ("PUT", "/control/users"):
            self.set_users(int(body))
        elif (method, path) != ("GET", "/control/requests"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        answer = str(self.requests).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer]

    def list_first(self, environ, start_response):
        started = []
        body = b"".join(self.scim(environ, lambda status, headers: started.append((status, headers))))
        answer = json.loads(body) if body else {}
        if "Resources" in answer:
            body = json.dumps({"Resources": answer.pop("Resources"), **answer}).encode()
        ((status, headers),) = started
        start_response(status, [pair for pair in headers if pair[0].lower() != "content-length"])
        return [body]

    def set_users(self, count):
        for number in range(self.users + 1, count + 1):
            self.call("POST", "/v2/Users", user(number))
        for number in range(count + 1, self.users + 1):
            self.call("DELETE", f"/v2/Users/user-{number}")
        self.users = count

    def call(self, method, path, resource=None):
        body = b"" if resource is None else json.dumps(resource).encode()
        (token, *_) = self.scim.bearer_tokens
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "CONTENT_TYPE": "application/scim+json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "wsgi.input": io.BytesIO(body),
        }
        setup_testing_defaults(environ)
        outcome = []
        answer = b"".join(self.scim(environ, lambda status, headers: outcome.append(status)))
        if not outcome[0].startswith("2"):
            sys.exit(f"{method} {path}: {outcome[0]} {answer.decode()}")


def user(number):
    roles = [{"value": "admin", "display": "Administrator"}] if number % 25 == 0 else [{"value": "member"}]
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": f"user-{number}@example.com",
        "displayName": f"User {number}",
        "name": {"givenName": "User", "familyName": str(number)},
        "emails": [{"value": f"user-{number}@example.com", "type": "work", "primary": True}],
        "active": number % 10 != 0,
        "roles": roles,
        "entitlements": [{"value": "pro"}],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--users", type=int, default=250)
    parser.add_argument("--token", default="secret")
    parser.add_argument("--max-page", type=int, default=1000)
    parser.add_argument("--cursor", action="store_true")
    parser.add_argument("--list-first", action="store_true")
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()
    peer = Peer(options)
    with make_server("127.0.0.1", options.port, peer, server_class=ThreadingWSGIServer, handler_class=Handler) as server:
        scheme = "http"
        if options.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*options.tls)
            # The handshake is made when a connection is first read, by its own thread.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        print(f"{scheme}://127.0.0.1:{server.server_port}/v2", flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()
        os._exit(0)


if __name__ == "__main__":
    main()
