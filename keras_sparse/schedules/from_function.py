"""A schedule that is a function of your own."""

from keras_sparse.schedules.schedule import Schedule


class FromFunction(Schedule):
    """`function(step)`, asked for after every step; `schedules.get` makes one of any function.

    Args:
        function: Function from an integer >= 0 to a number.

    Example:
        >>> FromFunction(lambda step: 0.5 if step < 100 else 0.9)(100)
        0.9
    """

    def __init__(self, function):
        super().__init__()
        self.function = function

    def value(self, step):
        return self.function(step)

    def get_config(self):
        return {"function": self.function}
