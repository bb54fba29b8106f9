"""How much memory something takes, as Python's allocator tells."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def flat(limit: int) -> Iterator[None]:
    """What is done here takes at most *limit* bytes at any moment, beside what was there before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        assert tracemalloc.get_traced_memory()[1] - before < limit
    finally:
        tracemalloc.stop()
