"""How the product with a sparse kernel is computed.

`compact` works from values and indices with stock operations, on every Keras backend.
"""
