"""Makes a token by which others fetch a file or directory of a server.

    python sample/jetstream/jetstream_share_example.py USER PATH [DAYS]

USER is a user of the server on this machine, PATH an absolute path there. The token is good for
DAYS days, or for one. Whoever has it gets the files with "dxlft get --token". The password is asked
for, or is in the environment variable JETSTREAM_API_PASSWORD.
"""

import getpass
import os
import posixpath
import sys

from jetstream import Jetstream, JetstreamError

if len(sys.argv) not in (3, 4):
    sys.exit("Usage: jetstream_share_example.py USER PATH [DAYS]")

user, path = sys.argv[1:3]
try:
    days = float(sys.argv[3]) if len(sys.argv) == 4 else 1.0
except ValueError:
    sys.exit(f"{sys.argv[3]}: DAYS has to be a number")
password = os.environ.get("JETSTREAM_API_PASSWORD") or getpass.getpass(f"Password of {user}: ")

try:
    with Jetstream().api() as api:
        api.server.auth(user, password)

        # The name alone, without the directories above it
        mappings = {posixpath.basename(path.rstrip("/")): path}
        manifest = api.send.waitForManifest(api.send.createManifest(mappings=mappings))
        if manifest["status"] == "error":
            sys.exit(f"Cannot share: {manifest['errorMessage']}")

        # This is the only time that the whole token is told
        token = api.send.createSharedToken(
            manifest, timeLimitSeconds=days * 24 * 3600, description=f"{path}, by {user}"
        )
        print(token["token"])
except JetstreamError as error:
    sys.exit(str(error))
