from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dxlfabric.pressure import Pressure

NAMES = st.sampled_from("abcd")


class PressureMachine(RuleBasedStateMachine):
    """Compares with a plain set of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.pressure = Pressure()
        self.pairs: set[tuple[str, str]] = set()

    def held(self) -> set[str]:
        return {sender for sender, _ in self.pairs}

    @rule(sender=NAMES, slow=NAMES)
    def hold(self, sender: str, slow: str) -> None:
        is_first = sender not in self.held()
        self.pairs.add((sender, slow))
        assert self.pressure.hold(sender, slow) is is_first

    @rule(slow=NAMES)
    def release(self, slow: str) -> None:
        before = self.held()
        self.pairs = {pair for pair in self.pairs if pair[1] != slow}
        assert self.pressure.release(slow) == sorted(before - self.held())

    @rule(client=NAMES)
    def forget(self, client: str) -> None:
        before = self.held() - {client}
        self.pairs = {pair for pair in self.pairs if client not in pair}
        assert self.pressure.forget(client) == sorted(before - self.held())

    @invariant()
    def knows_who_is_held(self) -> None:
        for name in "abcd":
            assert self.pressure.is_held(name) is (name in self.held())


TestPressure = PressureMachine.TestCase
