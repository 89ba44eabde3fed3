"""The control API of the transfer server, for programs to import."""
