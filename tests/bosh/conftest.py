"""The dialogue partners of the BOSH tests."""

from dataclasses import replace

import pytest

from tests.bosh.chat import POLICY, Chat


@pytest.fixture
def chat() -> Chat:
    """A session created with rid 100 that has its features: wait 60, hold 1, requests 2, inactivity 30."""
    chat = Chat()
    chat.open()
    assert not chat.creation.held
    chat.streams.clear()
    chat.log.clear()
    return chat


@pytest.fixture
def wide() -> Chat:
    """The same with hold 2, requests 3."""
    chat = Chat(replace(POLICY, max_hold=2), hold=2)
    chat.open()
    chat.streams.clear()
    chat.log.clear()
    return chat
