"""How the product with a sparse kernel is computed.

    masked.py       a dense kernel and a mask
    compact.py      values and indices, by one of these, which have the same two functions:
    native/         C++ for TensorFlow on a CPU, any pattern of single connections
    blocked.py      stock batched products, for blocks
    gather.py       stock operations for single connections
    scattered.py    the dense product, with a dense kernel that is made for the moment
    choice.py       which of them a layer takes

All but `native/` run on every Keras backend.
"""
