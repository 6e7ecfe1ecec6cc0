"""A log key without a key: checkpoints of the right shape whose signature is no signature."""

import base64


class FakeLogSigner:
    """Implements the `LogSigner` port."""

    origin = "log.example.test"

    def sign(self, size: int, root: bytes) -> str:
        """Return a checkpoint that no verifier accepts."""
        return f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n\n\u2014 {self.origin} bm90IHNpZ25lZA==\n"
