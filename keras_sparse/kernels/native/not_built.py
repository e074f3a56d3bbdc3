"""The one exception of everything that can keep the native operations from being there."""

CONSEQUENCE = "Sparse layers and dense blocks take stock operations instead: the same results, in more time."


class NotBuilt(RuntimeError):  # noqa: N818 (a state, not a mistake of who calls)
    """Says why there are no native operations, what follows from that, and what to do.

    Args:
        reason: String, without a full stop.
        cure: String, whole sentences.
        output: String, what the compiler wrote; the message ends in its last lines.
    """

    def __init__(self, reason, cure="", output=""):
        super().__init__(reason, cure, output)
        self.reason, self.cure, self.output = reason, cure, output

    def __str__(self):
        lines = [line for line in self.output.splitlines() if line.strip()][-12:]
        return "\n  ".join([f"No native operations: {self.reason}. {CONSEQUENCE} {self.cure}".rstrip(), *lines])
