"""What a network of a search may cost, checked before it is trained."""

import dataclasses

import keras
import keras_tuner

from keras_sparse import checks
from keras_sparse.analysis import profile


@dataclasses.dataclass(frozen=True)
class Size:
    """What a network costs: connected parameters, and multiply-adds per example."""

    connected_parameters: int
    macs: int

    @classmethod
    def of(cls, model):
        counted = profile(model)
        return cls(counted.connected_parameters, counted.macs)


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limits on the size of a network.

    Args:
        max_connected_parameters: Integer >= 1, trained values that are not zero by construction; None for no limit.
        max_macs: Integer >= 1, multiply-adds per example; None for no limit.

    Example:
        >>> Budget(max_macs=10_000_000).excess(Size(connected_parameters=124_030, macs=13_464_936))
        '13,464,936 multiply-adds, more than max_macs=10,000,000'
    """

    max_connected_parameters: int | None = None
    max_macs: int | None = None

    def __post_init__(self):
        for name, limit in dataclasses.asdict(self).items():
            if limit is not None:
                object.__setattr__(self, name, checks.integer(name, limit, "Budget", minimum=1))

    @property
    def is_limited(self):
        return (self.max_connected_parameters, self.max_macs) != (None, None)

    def excess(self, size):
        """In words, what is too much about a `Size`; None if it is within the limits."""
        for count, words, name in (
            (size.connected_parameters, "connected parameters", "max_connected_parameters"),
            (size.macs, "multiply-adds", "max_macs"),
        ):
            limit = getattr(self, name)
            if limit is not None and count > limit:
                return f"{count:,} {words}, more than {name}={limit:,}"
        return None

    def check(self, size):
        """Ends a trial, as KerasTuner's own `max_model_size` does, without another attempt.

        Raises:
            keras_tuner.errors.FailedTrialError: If the network is too large.
        """
        excess = self.excess(size)
        if excess is not None:
            raise keras_tuner.errors.FailedTrialError(f"Over the budget: {excess}. It was not trained.")


def without_weights():
    """A scope in which models are built with shapes and no values: enough to count, in a tenth of the time."""
    return keras.StatelessScope(initialize_variables=False)
