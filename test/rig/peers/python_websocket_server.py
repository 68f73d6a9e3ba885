"""Echoes, by python3-websockets, on a free port, which it prints."""

import asyncio

import websockets


async def echo(connection, *_path):
    async for message in connection:
        await connection.send(message)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
