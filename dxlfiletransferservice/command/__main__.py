"""``python -m dxlfiletransferservice.command`` is ``dxlft``."""

from dxlfiletransferservice.command import main

if __name__ == "__main__":
    main()
