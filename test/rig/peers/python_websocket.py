"""A WebSocket client on Python's `websockets`, driven by lines of JSON: commands on stdin, events on stdout."""

import asyncio
import base64
import json
import ssl
import sys

import websockets


def report(**event):
    print(json.dumps(event), flush=True)


async def report_messages(socket):
    try:
        async for message in socket:
            if isinstance(message, str):
                report(text=message)
            else:
                report(binary=base64.b64encode(message).decode())
    except websockets.ConnectionClosed:
        pass
    report(close=[socket.close_code, socket.close_reason])


async def obey(socket, line):
    command = json.loads(line)
    if "text" in command:
        await socket.send(command["text"])
    elif "binary" in command:
        await socket.send(base64.b64decode(command["binary"]))
    elif "ping" in command:
        await (await socket.ping())
        report(pong=True)
    elif "close" in command:
        code, reason = command["close"]
        await socket.close(code, reason)


async def main(url, options):
    trust = None
    if url.startswith("wss:"):
        trust = ssl.create_default_context(cadata=options.get("ca"))
    try:
        socket = await websockets.connect(
            url,
            ssl=trust,
            subprotocols=options.get("protocols") or None,
            extra_headers=options.get("headers"),
            max_size=None,
            ping_interval=None,
        )
    except Exception as error:
        report(error=f"{type(error).__name__}: {error}")
        return
    report(open=socket.subprotocol or "")
    messages = asyncio.create_task(report_messages(socket))
    commands = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        try:
            await obey(socket, line)
        except websockets.ConnectionClosed:
            break
    await messages


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
