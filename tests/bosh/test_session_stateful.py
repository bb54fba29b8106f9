"""The 13 invariants of a session against every order of events that hypothesis can think of.

1 every exchange is answered once; 2 first answers come in rid order; 3 a repeat gets the identical body; 4 a
repeat of an unanswered rid gives the older exchange type='error'; 5 upstream payloads are a prefix of what
was sent, in order, once; 6 downstream likewise; 7 at most ``hold`` are held; 8 nobody waits longer than
``wait``; 9 never both pending payloads and a held request; 10 buffers are bounded; 11 a rule-keeping client
is ended only by inactivity, the server, the gateway or itself; 12 after the end nothing is open and later
requests get item-not-found; 13 the timer is never in the past once it was handled.

`model` checks them after each step; `mutants` shows that the checks bite. There is one rule, and it draws
once, from a list of complete moves (`play`): interesting states take a conversation to reach, and choosing
among many rules (of which hypothesis leaves out some in each test) and many arguments there would be time
for few.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from boshgate.bosh.session import Session
from tests.bosh.play import (
    ACKS,
    HOLDS,
    KEYS,
    PENDING,
    REPLY,
    RESPONSE,
    SLOW,
    STREAMS,
    WAITS,
    Move,
    Play,
    Setting,
    moves,
)

CHOICES: tuple[tuple[int, ...], ...] = (
    WAITS, HOLDS, PENDING, RESPONSE, REPLY, SLOW, KEYS, ACKS, STREAMS,
)  # fmt: skip

settings_ = st.builds(
    Setting,
    *(st.sampled_from(choices) for choices in CHOICES),
)


class SessionMachine(RuleBasedStateMachine):
    """Chooses what happens next."""

    play: Play | None = None

    @initialize(setting=settings_)
    def create(self, setting: Setting) -> None:
        """7: creation."""
        self.play = Play(Session, setting)

    @rule(move=st.sampled_from(moves()))
    def something_happens(self, move: Move) -> None:
        """Somebody speaks, the network brings or loses something, time passes, or all ends."""
        assert self.play is not None
        self.play.do(move)

    def teardown(self) -> None:
        """What is left arrives, if both sides only go on."""
        if self.play is not None:
            self.play.conclude()


TestSession = SessionMachine.TestCase
TestSession.settings = settings(
    max_examples=400, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
