#!/usr/bin/env python3
"""Python's GraphQL client `gql`, as a client of Muster.

    python gql_client.py ORIGIN TOKEN

Asks a query and takes one event of a subscription, both over one WebSocket. Prints one line:
{"protocol": the sub-protocol that it found, "query": …, "event": …}.
"""
import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport


async def main(origin, token):
    transport = WebsocketsTransport(
        url=f"{origin.replace('http', 'ws', 1)}/graphql",
        init_payload={"authorization": f"Bearer {token}"},
    )
    async with Client(transport=transport) as session:
        query = await session.execute(gql("query Names { instances(first: 5) { nodes { id name } } }"))
        subscription = gql("subscription { instanceStateChanged { cause instance { name } } }")
        async for event in session.subscribe(subscription):
            break
    print(json.dumps({"protocol": transport.subprotocol, "query": query, "event": event}))


asyncio.run(main(*sys.argv[1:]))
