"""The buffer of responses (XEP-0124 section 14.3)."""

from boshgate.bosh.replies import Replies, Reply


def reply(rid: int) -> Reply:
    """A reply that says its rid."""
    return Reply(rid, b"digest", b"%d" % rid)


def test_oldest_makes_room() -> None:
    replies = Replies(2)
    for rid in (1, 2, 3):
        replies.store(reply(rid))
    assert len(replies) == 2
    assert replies.find(1) is None
    assert replies.find(2) == reply(2)
    assert replies.find(3) == reply(3)


def test_pauses_take_no_room_and_one_more_than_others_is_kept() -> None:
    replies = Replies(1)
    replies.store(reply(1))
    for rid in (2, 3, 4):
        replies.store_pause(reply(rid))
    assert len(replies) == 1
    assert replies.find(1) == reply(1)
    assert replies.find(2) is None
    assert replies.find(3) == reply(3)
    assert replies.find(4) == reply(4)
    assert replies.is_pause(4)
    assert not replies.is_pause(3)


def test_there_may_be_room_for_one_more() -> None:
    replies = Replies(1)
    replies.make_room()
    for rid in (1, 2, 3):
        replies.store(reply(rid))
    assert replies.find(1) is None
    assert replies.find(2) == reply(2)


def test_cleared_buffer_knows_nothing() -> None:
    replies = Replies(1)
    replies.store(reply(1))
    replies.store_pause(reply(2))
    replies.clear()
    assert len(replies) == 0
    assert replies.find(1) is replies.find(2) is None
