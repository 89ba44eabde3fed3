"""``python -m dxlfiletransferservice DIR`` runs the service until it gets SIGTERM or SIGINT."""

import argparse
import logging
import logging.config
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dxlfabric.errors import ConfigurationError, FabricError
from dxlfabric.memory import keep_freed_memory
from dxlfiletransferservice import FileTransferService, get_version
from dxlfiletransferservice.configdirectory import LOGGING_FILE
from dxlfiletransferservice.endings import Stopped, stopped_by_signals, wait_for_ever

SUCCESS: Final = 0
FAILURE: Final = 1  # argparse ends with 2 when the arguments are wrong

_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_logger = logging.getLogger("dxlfiletransferservice")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until a signal.

    Args:
        arguments: The command line without the program's name; ``None`` for the process's own.

    Returns:
        The exit code: 0 after SIGTERM or SIGINT, 1 when the service cannot start. Wrong arguments
        end the process with 2.
    """
    options = _parser().parse_args(arguments)
    keep_freed_memory()
    try:
        with stopped_by_signals():
            _configure_logging(options.config_dir)
            with FileTransferService(options.config_dir) as service:
                # First, so that a mistake shows as one line before anything is logged.
                service.check_configuration()
                service.run()
                _report_ready(service)
                wait_for_ever()
    except Stopped:
        return SUCCESS
    except FabricError as error:
        _report(str(error))
    except Exception as error:
        _logger.exception("The service ends because of a fault of its own")
        _report(f"unexpected {type(error).__name__}: {error}")
    return FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dxlfiletransferservice",
        description="Stores the files that clients send over an OpenDXL fabric.",
        epilog="A missing directory is created, with files to fill in. SIGTERM and SIGINT end the "
        "service cleanly; a second one ends it at once.",
    )
    parser.add_argument("config_dir", type=Path, help="directory with the configuration files")
    parser.add_argument("--version", action="version", version=get_version())
    return parser


def _configure_logging(directory: Path) -> None:
    path = directory / LOGGING_FILE
    if not path.is_file():
        logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
        return
    try:
        logging.config.fileConfig(path, disable_existing_loggers=False, encoding="utf-8")
    except Exception as error:
        # The file names classes and evaluates expressions, so anything may be raised.
        raise ConfigurationError(
            f"{path}: is no usable logging configuration: {type(error).__name__}: "
            + " ".join(str(error).split())
        ) from error


def _report_ready(service: FileTransferService) -> None:
    settings = service.settings
    if settings is not None:
        sys.stdout.write(
            f"registered {settings.store_topic} as service {service.service_id}, "
            f"storing in {settings.storage_dir}\n"
        )
        sys.stdout.flush()


def _report(problem: str) -> None:
    sys.stderr.write(f"dxlfiletransferservice: {problem}\n")


if __name__ == "__main__":
    sys.exit(main())
