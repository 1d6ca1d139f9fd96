"""A Socket.IO node in Python that does what examples/node does. NAME, PORT and REDIS_URL tell it who it is."""
import os

import socketio
from aiohttp import web

name = os.environ["NAME"]
io = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(os.environ["REDIS_URL"]))
app = web.Application()
io.attach(app)


@io.event
async def connect(sid, environ):
    await io.emit("hello", name, to=sid)


@io.event
async def say(sid, text):
    await io.emit("said", f"{name}: {text}")


web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
