#!/usr/bin/env python3
"""Forwards TCP connections and holds every byte back for half a round trip, in each direction.

delay.py LISTEN_PORT UPSTREAM_PORT ROUND_TRIP_MILLISECONDS: on the loopback interface, until it is stopped.
"""

import asyncio
import sys


async def pump(reader, writer, seconds):
    """Passes on what arrives, each part as long after its arrival, in order; later parts don't wait for earlier ones."""
    loop = asyncio.get_running_loop()
    held = asyncio.Queue()

    async def release():
        while True:
            at, part = await held.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            if not part:
                break
            writer.write(part)
            await writer.drain()
        writer.close()

    releasing = asyncio.create_task(release())
    try:
        while part := await reader.read(65536):
            held.put_nowait((loop.time() + seconds, part))
    except ConnectionError:
        pass
    held.put_nowait((loop.time() + seconds, b""))
    try:
        await releasing
    except ConnectionError:
        pass


async def main(listen, upstream, seconds):
    async def connected(reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(pump(reader, to_writer, seconds), pump(to_reader, writer, seconds))

    server = await asyncio.start_server(connected, "127.0.0.1", listen, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 2000))
