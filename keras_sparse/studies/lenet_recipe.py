"""How the studies of the paper on training behaviour train a LeNet."""

from keras_sparse.training import Recipe

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4  # of Caffe's recipe for LeNet
PROTOCOL = (
    f"Nesterov momentum {MOMENTUM}, weight decay {WEIGHT_DECAY:g}, the rate a tenth for the last quarter of the "
    "epochs, test accuracy after the last epoch; the paper prints neither rates nor epochs."
)


def lenet_recipe(model, dataset, examples, epochs, batch_size, learning_rate, seed, **verbs):
    """A `Recipe` whose validation split is the test split, so that the history is that of test accuracy."""
    return Recipe(
        str(model),
        dataset=dataset,
        examples=examples,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        learning_rate_drops=(epochs * 3 // 4,),
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        validation_fraction=0.0,
        seed=seed,
        **verbs,
    )
