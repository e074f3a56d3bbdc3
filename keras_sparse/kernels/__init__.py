"""How the product with a sparse kernel is computed.

`masked` is a dense kernel and a mask, `compact` works from values and indices; both with stock operations, on every
Keras backend.
"""
