"""What an operation of the installed TensorFlow is compiled with."""

import tensorflow as tf

from keras_sparse.kernels.native.build import Framework


def framework():
    """The `Framework` that `build.library_path` takes."""
    return Framework(
        version=f"{tf.version.VERSION} {tf.version.GIT_VERSION}",  # of two builds of one version, a library fits one
        compile_flags=tuple(tf.sysconfig.get_compile_flags()),
        link_flags=tuple(tf.sysconfig.get_link_flags()),
    )
