"""The version, apart so that the build and `netsession --version` read it alone."""

__version__ = "0.1.0"
