"""The base class of schedules."""

from abc import ABC, abstractmethod

from keras_sparse import checks
from keras_sparse.configured import Configured


class Schedule(Configured, ABC):
    """A function of the step (updates of the optimizer), without state; a subclass overrides `value`."""

    def __call__(self, step):
        """The number for a step, an integer >= 0."""
        return self.value(checks.integer("step", step, owner=self, minimum=0))

    @abstractmethod
    def value(self, step):
        """The number for a step that was checked."""
