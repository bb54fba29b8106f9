"""What a test needs from the machine: a missing program is a skip, and with CI=true a failure."""

import os
import shutil
from typing import NoReturn

import pytest


class MissingProgramError(Exception):
    """A program is not installed; the message says which, and what would install it."""


def find_program(name: str, *, package: str) -> str:
    """Return the path of program *name*; raise MissingProgramError that names the Debian *package* of it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise MissingProgramError(f"{name} is not installed (Debian package: {package})")
    return path


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for *reason*; under continuous integration nothing may be missing, so fail there."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"{reason}; with CI=true this is a failure", pytrace=False)
    pytest.skip(reason)
