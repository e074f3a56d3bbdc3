"""What happens to connections during `fit`.

>>> schedule = keras_sparse.schedules.Polynomial(0.0, 0.9, begin=0, end=2000, frequency=200)
>>> model.fit(x, y, callbacks=[Prune(schedule)])                                     # fewer and fewer
>>> model.fit(x, y, callbacks=[Rewire(drop=0.3, grow="gradient", data=(x, y))])      # as many, elsewhere
>>> model.fit(x, y, callbacks=[Densify(keras_sparse.schedules.Doubling(initial=0.01, period=10_000))])   # more
"""

from keras_sparse.callbacks.densify import Densify
from keras_sparse.callbacks.prune import Prune
from keras_sparse.callbacks.rewire import Rewire
from keras_sparse.callbacks.sparsity_logger import SparsityLogger

__all__ = ["Densify", "Prune", "Rewire", "SparsityLogger"]
