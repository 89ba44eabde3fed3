"""The version of the distribution, which all four packages share."""

__version__ = "0.2.0"
