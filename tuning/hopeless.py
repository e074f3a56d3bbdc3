"""Early ends of trials that would not win."""

import statistics

import keras

# Epochs that every trial has, and trials that must have been trained before one is given up.
GRACE = 1
ENOUGH = 3


class StopHopeless(keras.callbacks.Callback):
    """Ends a trial that `is_hopeless`, at the end of an epoch.

    Args:
        scores: Function from the model to the scores of its epochs so far.
        others: Function without arguments to a list of such lists, of trials that have ended.
    """

    def __init__(self, scores, others):
        super().__init__()
        self.scores = scores
        self.others = others

    def on_epoch_end(self, epoch, logs=None):
        if is_hopeless(self.scores(self.model), self.others()):
            self.model.stop_training = True


def is_hopeless(scores, others):
    """Whether the best score of a trial lies below the median of what the others had on average by that epoch.

    Args:
        scores: List of numbers, one for each epoch; the highest counts.
        others: List of such lists.

    Reference:
        Golovin et al., Google Vizier: a service for black-box optimization, 2017, section 3.2.2 (the median stopping
        rule)

    Example:
        >>> is_hopeless([0.1, 0.2], [[0.3, 0.6], [0.2, 0.5], [0.1, 0.4]])
        True
    """
    epochs = len(scores)
    means = [statistics.fmean(other[:epochs]) for other in others if len(other) >= epochs]
    return epochs > GRACE and len(means) >= ENOUGH and max(scores) < statistics.median(means)
