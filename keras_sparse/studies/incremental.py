"""Connections that double while training goes on, against all of them from the start."""

import itertools

import numpy as np

from keras_sparse import datasets
from keras_sparse.analysis import profile
from keras_sparse.schedules import Doubling
from keras_sparse.studies.convolutional_networks import build, recipe_fields
from keras_sparse.studies.spreads import by, differs, paired, percent, points, spread
from keras_sparse.studies.study import Study
from keras_sparse.training import Recipe

DENSE = 1.0  # as a start


class Incremental(Study):
    """Accuracy by step and by multiply-adds of networks whose connections double, and of one that starts dense."""

    paper = "Changpinyo et al., 2017, Fig. 6"
    claim = (
        "Networks that begin with 1% or 0.1% of their connections, which double every T steps, catch up with the full "
        "network whatever T, sometimes with small gains, recover quickly from new untrained connections, and need much "
        "less computation early on."
    )
    protocol = (
        "The paper trains Inception-V3 on ImageNet with T of 10, 25 and 50 thousand steps; `full` does, in 120 epochs, "
        "which are 600 thousand steps. `cpu` trains cifarnet, without dropout, on CIFAR-10, with T of 1/60, 1/24 and "
        "1/12 of its run, as there; the last doubling is behind all of them after 10/12. A filter reads one channel at "
        "least: with 64 channels the start is 1/64 of the connections, until the schedule is above it. Fully connected "
        "layers are dense. New connections are drawn as the first ones were. Nesterov momentum 0.9, batches of 32, a "
        "rate of 0.03, divided by ten for the last tenth of the run; images shifted and mirrored. Accuracy by epoch is "
        "that on a tenth of the training images, held out, at `full` on the validation images of ImageNet. "
        "Multiply-adds are those of the forward pass (a step takes about three times as many) of all steps so far, "
        "each with the connections that it had; seconds are what `benchmarks/incremental.py` measures. At `full` the "
        "rate is 0.1 and batches are of 256."
    )
    published = ("A figure without numbers.",)
    scales = {  # noqa: RUF012
        "smoke": {
            "network": "cifarnet", "dataset": "digits", "examples": 300, "epochs": 4, "starts": (0.01, 0.001),
            "periods_in_run": (12,), "seeds": 1, "held_out": 0.1,
        },
        "cpu": {
            "network": "cifarnet", "dataset": "cifar10", "examples": 12_000, "epochs": 9, "starts": (0.01, 0.001),
            "periods_in_run": (60, 24, 12), "seeds": 3, "held_out": 0.1,
        },
        "full": {
            "network": "inception_v3", "dataset": "imagenet2012", "examples": None, "epochs": 120,
            "starts": (0.01, 0.001), "periods_in_run": (60, 24, 12), "seeds": 1, "held_out": 0.0,
        },
    }  # fmt: skip

    @property
    def drop(self):
        """The epoch after which the learning rate is a tenth."""
        return self.settings["epochs"] * 9 // 10

    def pieces(self):
        settings = self.settings
        designs = {"dense": (DENSE, None)}
        for start, periods in itertools.product(settings["starts"], settings["periods_in_run"]):
            designs[f"from {start:g}, {periods} periods"] = start, periods
        return {
            f"{name}, seed {seed}": {"start": start, "periods": periods, "seed": seed}
            for name, (start, periods) in designs.items()
            for seed in range(settings["seeds"])
        }

    def run_piece(self, data_dir, folder, start, periods, seed):
        settings = self.settings
        epochs = settings["epochs"]
        fields = recipe_fields(
            settings["dataset"], epochs=epochs, examples=settings["examples"], seed=seed,
            learning_rate_drops=(self.drop,), validation_fraction=settings["held_out"],
        )  # fmt: skip
        dataset = datasets.load(settings["dataset"], data_dir, settings["held_out"], settings["examples"])
        sizes = dataset.train.training_sizes(fields["batch_size"])
        period = None if periods is None else max(1, epochs * len(sizes) // periods)
        schedule = Doubling(start, period or 1)
        arguments = {"dropout": 0.0} if settings["network"] == "cifarnet" else {}
        model = build(settings["network"], start, 1.0, seed, dataset.image_shape, dataset.classes, **arguments)
        if period is not None:
            fields["densify"] = {"initial": start, "period": period, "new": "initializer"}
        result = self.train(Recipe(self.keep(model, folder), **fields), folder / "run", data_dir)
        macs = macs_by_step(model, schedule, epochs * len(sizes))
        spent = np.cumsum(macs * np.tile(sizes, epochs))
        return [
            {
                "start": start,
                "period": period,
                "seed": seed,
                "epoch": row["epoch"],
                "step": row["epoch"] * len(sizes),
                "macs": int(macs[row["epoch"] * len(sizes) - 1]),
                "spent": float(spent[row["epoch"] * len(sizes) - 1]),
                "accuracy": row["val_accuracy"],
                "test_accuracy": result.test_accuracy if row["epoch"] == epochs else None,
            }
            for row in result.history
        ]

    def table(self, rows):
        common = common_accuracy(rows, self.drop)
        titles = (
            "connections at first", "doubled every (steps)", "full after (epochs)", "test accuracy",
            "above dense (points)", "multiply-adds, of dense", f"of dense, until {common:.1%} held-out accuracy",
        )  # fmt: skip
        curves = _curves(rows)
        dense = curves.get((DENSE, None))
        cells = []
        for (start, period), curve in curves.items():
            full = curve["epoch"][np.argmax(curve["macs"] == curve["macs"][-1])]
            last = _last(rows, start, period)
            gaps = _above_dense(rows, start, period) if period else []
            cells.append(
                (
                    f"{start:.1%}", f"{period:,}" if period else "", str(full) if period else "",
                    percent(last, "test_accuracy"), points(*spread(gaps)) if gaps else "",
                    f"{curve['spent'][-1] / dense['spent'][-1]:.0%}" if dense else "",
                    f"{_first(curve, common)[1] / _first(dense, common)[1]:.0%}" if dense else "",
                )
            )  # fmt: skip
        return titles, cells

    def findings(self, rows):
        curves, common = _curves(rows), common_accuracy(rows, self.drop)
        dense = curves.pop((DENSE, None), None)
        if dense is None:
            return ["The dense network is not trained yet."]
        names = {key: f"from {key[0]:.1%}, doubled every {key[1]:,} steps" for key in curves}
        gaps = {key: _above_dense(rows, *key) for key in names}
        clear = {key: spread(values)[0] for key, values in gaps.items() if differs(values)}
        better, worse = (
            "; ".join(f"{names[key]} ({100 * mean:+.2f} points)" for key, mean in clear.items() if (mean > 0) == above)
            for above in (True, False)
        )
        lines = [
            f"On the test images, in the end, with 95% confidence over seeds: above dense {better or 'none'}; below "
            f"dense {worse or 'none'}; {len(gaps) - len(clear)} of {len(gaps)} do not differ clearly."
        ]
        dense_step, dense_spent = _first(dense, common)
        for key, name in names.items():
            step, spent = _first(curves[key], common)
            fall = -np.diff(curves[key]["accuracy"]).min()
            lines.append(
                f"{name}: {common:.1%} of the held-out images, which all reach before the rate falls, after "
                f"{step / dense_step:.2f} times as many steps and {spent / dense_spent:.2f} times as many "
                "multiply-adds as dense; the largest fall from one epoch to the next is "
                f"{100 * max(0, fall):.1f} points."
            )
        return lines

    def plot(self, rows):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        curves = _curves(rows)
        periods = sorted({period for _, period in curves if period})
        for (start, period), curve in curves.items():
            style = {"color": "k"}
            name = "dense"
            if period:
                style = {
                    "color": f"C{periods.index(period)}",
                    "linestyle": "-" if start == max(start for start, period in curves if period) else "--",
                }
                name = f"from {start:.1%}, T = {period:,} steps"
            for axes, column in zip(panels, ("step", "spent"), strict=True):
                axes.errorbar(
                    curve[column], curve["accuracy"], curve["error"], linewidth=1, capsize=2, elinewidth=0.6,
                    label=name, **style,
                )  # fmt: skip
                first = np.argmax(curve["macs"] == curve["macs"][-1])
                axes.plot(curve[column][first], curve["accuracy"][first], "o", color=style["color"], markersize=5)
        panels[0].set_xlabel("steps")
        panels[1].set_xlabel("multiply-adds spent, forward pass")
        panels[1].set_xscale("log")
        panels[0].set_ylabel("accuracy on held-out images")
        for axes in panels:
            axes.grid(alpha=0.3)
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8,
            title="dots: all connections are there",
        )  # fmt: skip
        return figure


def macs_by_step(model, schedule, steps):
    """Multiply-adds of a forward pass for one image at each step, as `Densify` adds connections.

    Args:
        model: Keras model as it is before training.
        schedule: `Schedule` of the density of its sparse layers.
        steps: Integer.

    Returns:
        Float array `(steps,)`.
    """
    densities = np.array([schedule(step) for step in range(steps)])
    macs = np.zeros(steps)
    for row in profile(model).rows:
        # What a sparse layer has more than the schedule says, it keeps; one that is not sparse has all.
        macs += np.maximum(densities * row.dense_macs, row.macs) if row.macs else 0
    return macs


def common_accuracy(rows, last):
    """The highest accuracy on held-out images that all kinds of runs reach up to an epoch, by the mean over seeds."""
    return min(curve["accuracy"][curve["epoch"] <= last].max() for curve in _curves(rows).values())


def _curves(rows):
    """Dictionary from `(start, period)` to arrays by epoch."""
    curves = {}
    for key, group in by(rows, "start", "period").items():
        epochs = by(group, "epoch").values()
        means, errors = zip(*(spread([row["accuracy"] for row in some]) for some in epochs), strict=True)
        curves[key] = {
            **{name: np.array([some[0][name] for some in epochs]) for name in ("epoch", "step", "macs", "spent")},
            "accuracy": np.array(means),
            "error": np.array(errors),
        }
    return curves


def _first(curve, accuracy):
    """Step and multiply-adds at which an accuracy is first there, on straight lines between epochs."""
    after = int(np.argmax(curve["accuracy"] >= accuracy))
    if after == 0:
        return curve["step"][0], curve["spent"][0]
    ends = curve["accuracy"][after - 1 : after + 1]
    return tuple(np.interp(accuracy, ends, curve[name][after - 1 : after + 1]) for name in ("step", "spent"))


def _last(rows, start, period):
    return [
        row for row in rows if (row["start"], row["period"]) == (start, period) and row["test_accuracy"] is not None
    ]


def _above_dense(rows, start, period):
    return paired(_last(rows, start, period), _last(rows, DENSE, None), column="test_accuracy")
