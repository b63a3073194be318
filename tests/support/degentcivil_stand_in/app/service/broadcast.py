"""The WebSocket's clients, and what is sent to all of them."""

import asyncio
import json

clients = set()


def broadcast_message(kind, data):
    if clients:
        asyncio.get_running_loop().create_task(_send(json.dumps({"type": kind, "data": data})))


async def _send(text):
    await asyncio.gather(*(client.send_text(text) for client in list(clients)), return_exceptions=True)
