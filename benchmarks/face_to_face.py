"""Networks that `models.py` lets run against each other: ours, `keras.applications`, and the naive construction."""


def naive(units, growth_rate, pattern, shape, classes=10):
    """DenseNet or SparseNet for ImageNet-sized images the obvious way: layer by layer, each input joined anew.

    Args:
        units: Tuple, units of each stage.
        growth_rate: Integer.
        pattern: `Pattern`: which outputs a unit reads.
        shape: Shape of an image.
        classes: Integer.

    Returns:
        A Keras model.
    """
    import keras
    from keras import layers

    dense = type(pattern).__name__ == "All"

    def norm_relu(x):
        return layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))

    def joined(outputs):
        chosen = [outputs[i] for i in pattern.sources(len(outputs))]
        return layers.Concatenate()(chosen) if len(chosen) > 1 else chosen[0]

    image = keras.Input(shape)
    x = layers.Conv2D(growth_rate * (2 if dense else 1), 7, strides=2, padding="same", use_bias=False)(image)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(norm_relu(x))
    for stage, count in enumerate(units):
        outputs = [x]
        for _ in range(count):
            x = layers.Conv2D(4 * growth_rate, 1, use_bias=False)(norm_relu(joined(outputs)))
            outputs.append(layers.Conv2D(growth_rate, 3, padding="same", use_bias=False)(norm_relu(x)))
        x = joined(outputs)
        if stage < len(units) - 1:
            x = layers.AveragePooling2D(2)(layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False)(norm_relu(x)))
    x = layers.GlobalAveragePooling2D()(norm_relu(x))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def pairs(size):
    """Name -> (shape of an image, sides by name: functions that build); ratios are to the first side."""
    import keras

    import keras_sparse as ks
    from keras_sparse.aggregation import get_pattern

    nets, theirs, shape = ks.applications, keras.applications, (size, size, 3)
    options = {"input_shape": shape, "classes": 10, "weights": None}
    larger = {**options, "input_shape": (max(size, 96), max(size, 96), 3)}  # SparseNets take no smaller ones
    found = {
        "densenet121": (
            shape,
            {
                "keras.applications": lambda: theirs.DenseNet121(**options),
                "naive": lambda: naive((6, 12, 24, 16), 32, get_pattern("all"), shape),
                "ours": lambda: nets.DenseNet121(**options),
                "ours, folded": lambda: ks.fold_batch_norm(nets.DenseNet121(**options)),
            },
        ),
        "resnet50": (
            shape,
            {
                "keras.applications": lambda: theirs.ResNet50(**options),
                "ours": lambda: nets.ResNet50(**options),
                "ours, folded": lambda: ks.fold_batch_norm(nets.ResNet50(**options)),
                "theirs, folded": lambda: ks.fold_batch_norm(theirs.ResNet50(**options)),
            },
        ),
    }
    for depth in (121, 169, 201):
        dense, sparse = (getattr(nets, f"{kind}{depth}") for kind in ("DenseNet", "SparseNet"))
        found[f"sparsenet{depth}"] = (
            larger["input_shape"],
            {
                "densenet": lambda dense=dense: dense(**larger),
                "sparsenet": lambda sparse=sparse: sparse(**larger),
            },
        )
    for rate in (24, 36):
        for bottleneck in (True, False):
            arguments = {"depth": 100, "growth_rate": rate, "bottleneck": bottleneck}
            found[f"sparsenet{'-bc' if bottleneck else ''}-100-{rate}"] = (
                (32, 32, 3),
                {
                    "densenet": lambda a=arguments: nets.DenseNet(**a),
                    "sparsenet": lambda a=arguments: nets.SparseNet(**a),
                },
            )
    return found


PAIRS = ("densenet121", "resnet50", "sparsenet121", "sparsenet169", "sparsenet201", "sparsenet-bc-100-24",
         "sparsenet-bc-100-36", "sparsenet-100-24", "sparsenet-100-36")  # fmt: skip
