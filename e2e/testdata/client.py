"""Clients in Python of a chat at the URL that is the argument: some poll, some upgrade, some begin as WebSockets. Each says something, and hears what all say."""
import asyncio
import sys

import socketio

ways = [["polling"], ["polling", "websocket"], ["websocket"]] * 2


async def main():
    clients, heard, all_heard, lost = [], {}, asyncio.Event(), []
    for i, transports in enumerate(ways):
        io = socketio.AsyncClient(reconnection=False)
        heard[i] = set()

        async def said(text, i=i):
            heard[i].add(text.split(": ")[1])
            if all(len(h) == len(ways) for h in heard.values()):
                all_heard.set()

        io.on("said", said)
        io.on("disconnect", lambda *_, i=i: lost.append(i))
        await io.connect(sys.argv[1], transports=transports)
        clients.append(io)
    for i, io in enumerate(clients):
        await io.emit("say", f"I am {i}")
    await asyncio.wait_for(all_heard.wait(), 60)
    if lost or [io.transport() for io in clients] != [way[-1] for way in ways]:
        sys.exit(f"lost {lost}, by {[io.transport() for io in clients]}")
    for io in clients:
        await io.disconnect()


asyncio.run(main())
