"""Messages carry what they were given and show no secret."""

from sopwith_agent.domain.messages import Acknowledged, CheckpointTold, WarrantOffered


def test_warrant_shows_no_bytes() -> None:
    assert "secret" not in repr(WarrantOffered(b"secret", b"secret"))


def test_equal_messages_are_equal() -> None:
    assert Acknowledged(3) == Acknowledged(3)
    assert CheckpointTold("x").consistency_proof == ()
