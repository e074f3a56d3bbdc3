"""How large gradients are at the first layer of SparseNet that adds, by depth and by what beta begins with.

    python benchmarks/first_gradient.py
    python benchmarks/first_gradient.py --depth 200 --beta 0 0.5 1

Before any training, with random images: the norm of the first kernel's gradient. A batch normalisation with ReLU
multiplies the square of a gradient by pi / (pi - 1) where beta is zero, and by less where more of what ReLU reads is
positive; and units that read other units only have no identity beside them. Width 4 instead of 16, images of 16x16.
"""

import argparse
import os


def norm(depth, beta):
    """The norm of the first kernel's gradient."""
    import keras
    import numpy as np
    from keras import ops

    from keras_sparse.applications import SparseNet
    from keras_sparse.gradients import _differentiate

    keras.utils.set_random_seed(0)
    model = SparseNet(depth, 4, operator="sum", input_shape=(16, 16, 3))
    for variable in model.trainable_variables:
        if variable.path.endswith("beta"):
            variable.assign(ops.full(variable.shape, beta))
    x, y = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32"), np.arange(4)
    kernel = model.trainable_variables[0]

    def loss(tensors):
        with keras.StatelessScope([(kernel, tensors[0])]):
            return ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))

    (gradient,) = _differentiate(loss, [ops.convert_to_tensor(kernel)])
    return float(ops.norm(ops.reshape(gradient, (-1,))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, nargs="+", default=[200, 560, 1001])
    parser.add_argument("--beta", type=float, nargs="+", default=[0.0, 1.0, 2.0])
    parser.add_argument("--quick", action="store_true", help="depth 56 only")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    print(machine())
    print(
        f"| depth | {' | '.join(f'beta {beta:g}' for beta in arguments.beta)} |\n{'|---' * (len(arguments.beta) + 1)}|"
    )
    for depth in [56] if arguments.quick else arguments.depth:
        print(f"| {depth} | {' | '.join(f'{norm(depth, beta):.1e}' for beta in arguments.beta)} |", flush=True)


if __name__ == "__main__":
    main()
