"""The product with a sparse kernel in C++, as operations of TensorFlow for a CPU, compiled where they run.

    operations.cc, product.h, gather.h, planes.h    the product
    build.py        the compiled library: from the cache, or built once
    cache.py        where compiled files lie; trust.py: whether that is safe
    compiler.py     the C++ compiler; processor.py: what it may compile for
    check.py        the product under sanitizers, without TensorFlow
    tensorflow.py   what an operation of the installed TensorFlow is compiled with

Only `tensorflow.py` imports anything beyond the standard library.
"""
