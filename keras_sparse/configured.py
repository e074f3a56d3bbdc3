"""What every small object that is named in a configuration can do: patterns, operators and their like."""


class Configured:
    """An object that is its configuration: equal, hashed, printed and rebuilt by it.

    A subclass with arguments overrides `get_config`, whose keys are the arguments of its constructor.
    """

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), tuple(sorted(self.get_config().items()))))

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
