"""How the studies of the paper on training behaviour train a LeNet."""

from keras_sparse.training import Recipe

MOMENTUM = 0.9
PROTOCOL = (
    f"Nesterov momentum {MOMENTUM}, the rate a tenth for the last quarter of the epochs, no weight decay, test "
    "accuracy after the last epoch; the paper prints neither rates nor epochs."
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
        weight_decay=0.0,
        validation_fraction=0.0,
        seed=seed,
        **verbs,
    )
