"""Runs whichever ``dxlfiletransferservice`` this Python has.

Usage: serve_version1.py DIRECTORY. Prints ``ready`` once it is registered; ends with its standard
input.
"""

import sys

from dxlfiletransferservice import FileTransferService


def main() -> None:
    """Do what the module says."""
    with FileTransferService(sys.argv[1]) as service:
        service.run()
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
