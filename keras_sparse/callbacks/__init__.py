"""What happens to connections during `fit`.

>>> model.fit(x, y, callbacks=[Densify(keras_sparse.schedules.Doubling(initial=0.01, period=10_000))])
"""

from keras_sparse.callbacks.densify import Densify

__all__ = ["Densify"]
