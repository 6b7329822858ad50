#!/usr/bin/env python3
"""An SMTP server for the integration tests; needs the package aiosmtpd.

    python smtp.py [PORT [CERTIFICATE KEY]]

Prints one line, {"smtp": port, "control": port}, both on 127.0.0.1, and exits when its
standard input is closed. PORT is the SMTP port; 0, the default, chooses a free one. With the
files of a certificate and its key, mail is taken after STARTTLS only. The control port uses HTTP:

  GET /mode/MODE   sets how messages are treated from now on:
                   ok          accept
                   tempfail    respond with 450 to the recipient
                   permfail    respond with 550 to the recipient
                   norelay     refuse the recipient, because this server does not relay
                   badhelo     refuse the recipient, because of the name in the greeting
                   hang        never respond to the end of the message
                   drop_after  store the message, but cut the connection before responding
                   greet_hang  never send a greeting on new connections
  GET /messages    the accepted messages, in order: to, message_id, in_reply_to, subject,
                   headers (a list of pairs), text, html, mode
  GET /messages/N  the same without the first N
  GET /reset       deletes the messages and sets the mode ok
"""
import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP

REFUSALS = {
    "tempfail": "450 4.2.1 mailbox busy",
    "permfail": "550 5.1.1 no such user",
    "norelay": "554 5.7.1 <a@example.com>: Relay access denied",
    "badhelo": "504 5.5.2 <web-1>: Helo command rejected: need fully-qualified hostname",
}
MODES = {"ok", "hang", "drop_after", "greet_hang", *REFUSALS}
mode = "ok"
messages = []
context = None


def described(envelope):
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    return {
        "to": envelope.rcpt_tos,
        "message_id": message["message-id"],
        "in_reply_to": message["in-reply-to"],
        "subject": message["subject"],
        "headers": [[name, str(value)] for name, value in message.items()],
        "text": parts["plain"] and parts["plain"].get_content().replace("\r\n", "\n"),
        "html": parts["html"] and parts["html"].get_content().replace("\r\n", "\n"),
        "mode": mode,
    }


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode in REFUSALS:
            return REFUSALS[mode]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        if mode == "hang":
            await asyncio.Event().wait()
        messages.append(described(envelope))
        if mode == "drop_after":
            server.transport.abort()
        return "250 2.0.0 accepted"


class Mute(asyncio.Protocol):
    """Accepts a connection and sends nothing."""


def protocol():
    if mode == "greet_hang":
        return Mute()
    tls = {"tls_context": context, "require_starttls": True} if context else {}
    return SMTP(Handler(), hostname="peer.test", loop=asyncio.get_running_loop(), **tls)


def answer(path):
    global mode
    if path == "/messages":
        return 200, messages
    if path.startswith("/messages/") and path[10:].isdigit():
        return 200, messages[int(path[10:]):]
    if path == "/reset":
        messages.clear()
        mode = "ok"
        return 200, {"mode": mode}
    if path.startswith("/mode/") and path[6:] in MODES:
        mode = path[6:]
        return 200, {"mode": mode}
    return 404, {"modes": sorted(MODES)}


async def control(reader, writer):
    path = (await reader.readline()).decode("latin-1").split(" ")[1:2]
    while (await reader.readline()).strip():
        pass
    status, value = answer(path[0] if path else "")
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


def port(server):
    return server.sockets[0].getsockname()[1]


async def main(port_wanted="0", *certificate):
    global context
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(protocol, "127.0.0.1", int(port_wanted))
    http = await asyncio.start_server(control, "127.0.0.1", 0)
    print(json.dumps({"smtp": port(smtp), "control": port(http)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # an orderly exit would wait for connections that hang on purpose


asyncio.run(main(*sys.argv[1:]))
