"""Puts a file into a NATS object store, or gets it from there.

Usage: transfer_nats.py URL CA CERTIFICATE KEY put BUCKET FILE, or the same with ``get``. A put
makes the bucket, a get removes it afterwards. Prints a JSON object: ``seconds`` from the connection
to the end of the call, ``cpu`` seconds and ``peak`` memory in bytes.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
from pathlib import Path

import nats
from nats.js import JetStreamContext

OBJECT = "file"

ANSWER_SECONDS = 60.0
"""Seconds that the server may take for any one answer; its disk may be busy."""


async def transfer(url: str, context: ssl.SSLContext, verb: str, bucket: str, path: Path) -> None:
    """Connect, transfer, and print what it took."""
    began, before = time.perf_counter(), _cpu()
    client = await nats.connect(url, tls=context, allow_reconnect=False)
    store = client.jetstream(timeout=ANSWER_SECONDS)
    await (_put if verb == "put" else _get)(store, bucket, path)
    found = {"seconds": time.perf_counter() - began, "cpu": _cpu() - before}
    if verb == "get":
        await store.delete_object_store(bucket)
    await client.close()
    peak = _peak()
    print(json.dumps({**found, "peak": peak}))


async def _put(store: JetStreamContext, bucket: str, path: Path) -> None:
    objects = await store.create_object_store(bucket)
    with path.open("rb") as file:
        await objects.put(OBJECT, file)


async def _get(store: JetStreamContext, bucket: str, path: Path) -> None:
    objects = await store.object_store(bucket)
    with path.open("wb") as file:
        await objects.get(OBJECT, writeinto=file)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    # The system's other figure for it is that of the program that started this one, if larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Do what the module says."""
    url, ca, certificate, key, verb, bucket, path = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    asyncio.run(transfer(url, context, verb, bucket, Path(path)))


if __name__ == "__main__":
    main()
