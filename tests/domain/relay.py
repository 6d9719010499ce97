"""A relay that is slow: relay.py PORT TO_PORT MILLISECONDS, on this machine, until it is killed.

What a client sends is passed on so much later; what comes back is passed on at once, as where netem
delays what the client's interface sends.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Passes on what is read, in its order, and the end of it."""
    loop = asyncio.get_running_loop()
    try:
        while data := await reader.read(1 << 16):
            loop.call_later(delay, writer.write, data)
    except ConnectionError:
        pass
    loop.call_later(delay, writer.close)


async def serve(
    to_port: int, delay: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One client."""
    there, back = await asyncio.open_connection("127.0.0.1", to_port)
    await asyncio.gather(pump(reader, back, delay), pump(there, writer, 0.0))


async def main() -> None:
    """Listens."""
    port, to_port, milliseconds = map(int, sys.argv[1:])
    server = await asyncio.start_server(partial(serve, to_port, milliseconds / 1000), port=port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
