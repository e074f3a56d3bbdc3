"""Which networks of a search are worth their size."""


def pareto_front(trials, size):
    """The trials than which none is both smaller (or as small) and better (or as good), smallest first.

    Args:
        trials: List of `Trial`; those that were not trained are left out.
        size: "parameters" or "macs".

    Returns:
        List of `Trial`.

    Example:
        >>> [trial.name for trial in pareto_front(result.trials, "macs")]
        ['3', '17', '5']
    """
    trained = [trial for trial in trials if trial.val_error is not None]
    front = []
    for trial in sorted(trained, key=lambda trial: (getattr(trial, size), trial.val_error)):
        if not front or trial.val_error < front[-1].val_error:
            front.append(trial)
    return front
