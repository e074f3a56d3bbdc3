"""How the product with a sparse kernel is computed.

`masked` is a dense kernel and a mask; `compact` works from values and indices, in one of several ways. In stock
operations on every Keras backend, but for what is faster in TensorFlow's own.
"""
