"""A client of version 2 that knows nothing but docs/protocol.md, to be written in other languages.

    python sample/protocol/independent_client.py CONFIG hello
    python sample/protocol/independent_client.py CONFIG put FILE NAME
    python sample/protocol/independent_client.py CONFIG batch DIRECTORY NAME
    python sample/protocol/independent_client.py CONFIG get NAME FILE
    python sample/protocol/independent_client.py CONFIG list [NAME]
    python sample/protocol/independent_client.py CONFIG stat NAME
    python sample/protocol/independent_client.py CONFIG remove NAME

CONFIG is the configuration of a DXL client. All that is needed besides the DXL client is a library
for xxHash. Python programs use dxlfiletransferclient instead, which does much more.
"""

import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException
from dxlclient.message import Message, Request
from independent_wire import (
    LARGEST_PAYLOAD,
    MOST_ENTRIES,
    batch_payload,
    batches_of,
    entries_of,
    is_whole,
    missing,
    parse_ranges,
    pieces,
    sealed,
)

SERVICE_TYPE = "/opendxl-file-transfer/service/file-transfer"
STORE_TOPIC = SERVICE_TYPE + "/file/store"
REGISTRY_TOPIC = "/mcafee/service/dxl/svcregistry/query"

REPEAT = {101, 130}
REOPEN = {110, 131, 0x80000001}
CHANGED = 125

# Seconds to wait for an answer, how often a request is sent, and seconds between two attempts
RESPONSE_TIMEOUT = 10
ATTEMPTS = 5
PAUSE = 0.2

# Requests that are outstanding at most; the service's window may allow fewer
THREADS = 8


class RefusedError(Exception):
    """The service answered with an error."""

    def __init__(self, code, text, retry_after_ms=None):
        super().__init__(f"{text} ({code})")
        self.code = code
        self.retry_after_ms = retry_after_ms


class LostError(Exception):
    """The service is gone, or knows the file no more: look for it again."""


class Window:
    """Lets so many bytes be outstanding, and one message always."""

    def __init__(self, size):
        self._size = size
        self._outstanding = 0
        self._changed = threading.Condition()

    def take(self, length):
        with self._changed:
            self._changed.wait_for(
                lambda: not self._outstanding or self._outstanding + length <= self._size
            )
            self._outstanding += length

    def give_back(self, length, size=None):
        with self._changed:
            self._outstanding -= length
            if size is not None:
                self._size = size
            self._changed.notify_all()


class Client:
    """Talks to one instance of the service."""

    def __init__(self, dxl_client, store_topic=STORE_TOPIC):
        self._dxl_client = dxl_client
        self._store_topic = store_topic
        self.service_id = ""
        self.hello = {}

    # Requests and answers

    def send(self, topic, fields, payload=b"", service_id=""):
        """Send one request; the answer may be an error response, or not come at all."""
        request = Request(topic)
        request.other_fields = fields
        request.payload = payload
        request.service_id = service_id
        return self._dxl_client.sync_request(request, timeout=RESPONSE_TIMEOUT)

    def ask_once(self, verb, fields, payload=b"", service_id=""):
        response = self.send(
            f"{self._store_topic}/v2/{verb}", sealed(fields, payload), payload, service_id
        )
        found, content = response.other_fields, response.payload
        if response.message_type == Message.MESSAGE_TYPE_ERROR:
            if "check" not in found:
                raise RefusedError(response.error_code & 0xFFFFFFFF, response.error_message)
            if is_whole(found, content):
                retry = found.get("retry_after_ms")
                raise RefusedError(int(found["code"]), found["text"], retry and int(retry))
        if not is_whole(found, content):
            raise RefusedError(101, "the answer was damaged on its way")
        return found, content, response.service_id

    def ask(self, verb, fields, payload=b""):
        """Send a request to the instance, again if it or its answer was lost or damaged."""
        for _ in range(ATTEMPTS):
            pause = PAUSE
            try:
                found, content, _ = self.ask_once(verb, fields, payload, self.service_id)
                return found, content
            except RefusedError as error:
                if error.code in REOPEN:
                    raise LostError from error
                if error.code not in REPEAT:
                    raise
                pause = (error.retry_after_ms or 0) / 1000 or PAUSE
            except DxlException:
                # No answer in time, or no connection at the moment.
                pass
            time.sleep(pause)
        raise LostError(f"no answer to {verb}")

    # Finding a service

    def find(self, key=""):
        """Look for the store used before; without one, or if it does not come back, for any."""
        store_id = self.hello.get("store_id")
        for attempt in range(ATTEMPTS):
            found = self._instances()
            same = [each for each in found if each[1]["store_id"] == store_id]
            if same or (found and (not store_id or attempt == ATTEMPTS - 1)):
                # The same store for the same key, whatever the order of the answers.
                self.service_id, self.hello = max(same or found, key=lambda each: rank(key, each))
                return self.hello
            time.sleep(1)
        raise LostError("no service")

    def _instances(self):
        topic = f"{self._store_topic}/v2/hello"
        found = []
        for service_id in self._registered(topic) or [""]:
            try:
                hello, _, answered_by = self.ask_once("hello", {}, service_id=service_id)
                found.append((answered_by, hello))
            except (RefusedError, DxlException):
                continue
        return found

    def _registered(self, topic):
        query = json.dumps({"serviceType": SERVICE_TYPE}).encode()
        try:
            answer = self.send(REGISTRY_TOPIC, {}, query).payload
            services = json.loads(answer.rstrip(b"\0"))["services"]
        except (DxlException, ValueError, KeyError):
            return []
        return [name for name, service in services.items() if topic in service["requestChannels"]]

    # Storing a file

    def put(self, path, name, overwrite="replace"):
        """Store a file; what an earlier call with the same file has sent is not sent again."""
        path = Path(path).resolve()
        while True:
            try:
                return self._put(path, name, overwrite)
            except LostError:
                self.find(name)

    def _put(self, path, name, overwrite):
        status = path.stat()
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        source = (str(path), status.st_size, status.st_mtime_ns, name, overwrite)
        file_id = hashlib.sha256("\0".join(map(str, source)).encode()).hexdigest()
        opening = {
            "file_id": file_id,
            "name": name,
            "size": str(status.st_size),
            "modified_ns": str(status.st_mtime_ns),
            "executable": "1" if os.access(path, os.X_OK) else "0",
            "overwrite": overwrite,
        }
        ending = {"file_id": file_id, "size": str(status.st_size), "sha256": sha256}
        answer, _ = self.ask("open", opening)
        if answer["state"] == "stored" and answer["sha256"] != sha256:
            self.ask("abort", {"file_id": file_id, "reason": "the source has changed"})
            answer, _ = self.ask("open", opening)
        while answer["state"] not in ("stored", "kept"):
            if answer["state"] == "mismatch" and not answer.get("damaged"):
                self.ask("abort", {"file_id": file_id, "reason": "the source has changed"})
                raise RefusedError(0, f"{path} has changed while it was sent")
            if answer["state"] == "verifying":
                time.sleep(PAUSE)
            else:
                self._send_missing(path, file_id, status.st_size, answer)
            answer, _ = self.ask("finish", ending)
        return answer

    def _send_missing(self, path, file_id, size, answer):
        """Send what is not held, several segments at a time."""
        window = Window(int(answer["window"]))
        ranges = missing(parse_ranges(answer.get("held", "")), size)

        def send(piece):
            start, end = piece
            window.take(end - start)
            allowed = None
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read(end - start)
                fields = {"file_id": file_id, "offset": str(start)}
                allowed = int(self.ask("segment", fields, data)[0]["window"])
            finally:
                window.give_back(end - start, allowed)

        run_all(send, pieces(ranges, int(answer["segment_size"])))

    def batch(self, entries):
        """Store whole things in one message; entries are pairs of header members and content."""
        return json.loads(self.ask("batch", {}, batch_payload(entries))[1])

    # Stored files

    def get(self, name, path):
        """Get a file; it has its name when it is whole and compared."""
        part = Path(f"{path}.part")
        while True:
            try:
                sha256 = self._get(name, part)
                break
            except LostError:
                self.find(name)
            except RefusedError as error:
                if error.code != CHANGED:
                    raise
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise RefusedError(0, f"{name} was not received as it is stored")
        os.replace(part, path)

    def _get(self, name, part):
        self.ask("stat", {"name": name, "with_sha256": "1"})
        length = LARGEST_PAYLOAD
        first, content = self.ask("retrieve", {"name": name, "offset": "0", "length": str(length)})
        size, version = int(first["size"]), first["version"]
        part.write_bytes(content)
        window = Window(int(self.hello["window"]))

        def fetch(piece):
            start, end = piece
            window.take(end - start)
            try:
                asked = {"offset": str(start), "length": str(end - start), "version": version}
                data = self.ask("retrieve", {"name": name, **asked})[1]
            finally:
                window.give_back(end - start)
            with part.open("r+b") as file:
                file.seek(start)
                file.write(data)

        run_all(fetch, pieces([(len(content), size)], length))
        return first.get("sha256") or self._sha256_of(name, version)

    def _sha256_of(self, name, version):
        while True:
            answer, content = self.ask("stat", {"name": name, "with_sha256": "1"})
            if json.loads(content)[0]["version"] != version:
                raise RefusedError(CHANGED, f"{name} was replaced")
            if answer.get("pending", "0") == "0":
                return answer["sha256"]
            time.sleep(PAUSE)

    def list(self, name="", *, recursive=True, limit=MOST_ENTRIES):
        """All entries of a directory, page by page."""
        after = None
        while True:
            fields = {"name": name, "recursive": "1" if recursive else "0", "limit": str(limit)}
            answer, content = self.ask("list", {**fields, "after": after})
            yield from json.loads(content)
            after = answer.get("next")
            if after is None:
                return

    def stat(self, name):
        return json.loads(self.ask("stat", {"name": name})[1])[0]

    def remove(self, name):
        """Remove a file, link or directory with everything in it."""
        removed = 0
        while True:
            answer, _ = self.ask("remove", {"name": name, "recursive": "1"})
            removed += int(answer["removed"])
            if answer.get("more", "0") == "0":
                return removed


def rank(key, instance):
    service_id, hello = instance
    return hashlib.sha256(f"{key}\0{hello['store_id']}".encode()).digest(), service_id


def run_all(function, items):
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(function, item) for item in items]:
            done.result()


def run(client, command, *arguments):
    client.find(arguments[0] if arguments else "")
    match command, arguments:
        case "hello", ():
            print(json.dumps(client.hello))
        case "put", (path, name):
            print(json.dumps(client.put(path, name)))
        case "batch", (directory, name):
            for batch in batches_of(entries_of(directory, name)):
                print(json.dumps(client.batch(batch)))
        case "get", (name, path):
            client.get(name, path)
        case "list", _:
            for entry in client.list(*arguments):
                print(json.dumps(entry))
        case "stat", (name,):
            print(json.dumps(client.stat(name)))
        case "remove", (name,):
            print(client.remove(name))
        case _:
            sys.exit(__doc__)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    config = DxlClientConfig.create_dxl_config_from_file(sys.argv[1])
    with DxlClient(config) as dxl_client:
        dxl_client.connect()
        try:
            run(Client(dxl_client), *sys.argv[2:])
        except (RefusedError, LostError, OSError) as error:
            sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
