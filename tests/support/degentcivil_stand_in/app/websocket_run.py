"""The WebSocket's entry point: the text `start` starts the town, once."""

import asyncio

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

import app.main
from app import settings
from app.service.broadcast import clients

running_simulation = False
tasks = []


async def home(request):
    return PlainTextResponse("the town")


async def websocket_endpoint(websocket):
    global running_simulation
    await websocket.accept()
    clients.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            if text == "start" and not running_simulation:
                running_simulation = True
                tasks.append(asyncio.create_task(app.main.main()))
    except WebSocketDisconnect:
        pass
    finally:
        clients.discard(websocket)


server = Starlette(routes=[Route("/", home), WebSocketRoute("/ws", websocket_endpoint)])


if __name__ == "__main__":
    uvicorn.run(server, host="127.0.0.1", port=settings.PORT, log_level="warning")
