"""Which test is marked with which rule, as pytest itself collects them."""

import contextlib
import io
from collections.abc import Mapping
from typing import Final

import pytest

from tests.compliance.rules import rule_of

DOUBTFUL: Final = ("skip", "skipif", "xfail")
"""A test so marked may pass without having shown anything."""


class _Collector:
    """A plugin of pytest that looks at what was collected."""

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = {}
        self.doubtful: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note each test once for each of its rules, not for each of its parameters."""
        for item in session.items:
            name = item.nodeid.partition("[")[0]
            for marker in item.iter_markers("rule"):
                for id_ in marker.args:
                    tests = self.tests.setdefault(rule_of(id_), [])
                    if name not in tests:
                        tests.append(name)
            if item.get_closest_marker("rule") and any(map(item.get_closest_marker, DOUBTFUL)):
                self.doubtful.append(name)


def collect_tests() -> Mapping[str, list[str]]:
    """Return the tests by rule; raises RuntimeError if they cannot be collected or one may not count."""
    collector, output = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(output):
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"], plugins=[collector])
    if status is not pytest.ExitCode.OK:
        raise RuntimeError(f"the tests cannot be collected:\n{output.getvalue()[-4000:]}")
    if collector.doubtful:
        raise RuntimeError(f"these may be skipped and prove no rule: {', '.join(collector.doubtful)}")
    return collector.tests
