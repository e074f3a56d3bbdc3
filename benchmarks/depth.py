"""Very deep networks, unrolled and as loops: what they cost, and how the cost grows with depth.

    python benchmarks/depth.py
    python benchmarks/depth.py --model resnet sparsenet-sum --depth 200 2000 --form loop
    python benchmarks/depth.py --quick

Each line of the table is a process of its own: it builds the network, takes training steps on one batch of random
images (all of the first one counts: tracing, optimising, computing), saves and loads it; what was loaded must predict
what was saved, and a step must change the first kernel. Peak memory is that of the process, of which importing
TensorFlow takes the part given; "above" is the rest. The forms take turns, depth by depth; "default" is the form that a
network takes by itself. Under the table stand the exponent of each cost, fitted to `cost ~ depth ** exponent`, and the
largest depth to the smallest. `--output` writes `depth.csv` and `depth.png`. "unrolled" takes minutes where
"loop" takes seconds: beyond `--unrolled-until` it is left out.
"""

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = ("sparsenet-bc", "sparsenet-sum", "densenet-bc", "resnet")
FORMS = ("unrolled", "loop", "remat", "default")
SECONDS = ("build", "first step", "step", "save", "load")
COLUMNS = ("model", "form", "depth", "batch", "parameters", *SECONDS, "peak", "of it imports", "above")
FITTED = ("build", "first step", "step", "peak", "above")


def build(name, depth, form):
    from keras_sparse.applications import DenseNet, ResNet, SparseNet

    options = {"loop": "auto" if form == "default" else form != "unrolled", "remat": form == "remat"}
    return {
        "sparsenet-bc": lambda: SparseNet(depth, 12, bottleneck=True, **options),
        "sparsenet-sum": lambda: SparseNet(depth, 16, operator="sum", **options),
        "densenet-bc": lambda: DenseNet(depth, 12, bottleneck=True),
        "resnet": lambda: ResNet(depth, **options),
    }[name]()


def measure(name, depth, form, batch, steps):
    """Trains one network and returns what it took: a dictionary with `COLUMNS`."""
    import keras
    import numpy as np

    import keras_sparse.applications  # so that the first build does not count as its import
    from keras_sparse.studies.peak_memory import peak_memory
    from keras_sparse.studies.training_costs import clocked, prepare, random_batch

    assert keras_sparse.applications
    keras.utils.set_random_seed(0)
    found = {"of it imports": peak_memory()}
    found["build"], model = clocked(build, name, depth, form)
    prepare(model)
    x, y = random_batch(batch, (32, 32, 3), 10)
    before = model.get_weights()[0]
    found["first step"], *others = (clocked(model.train_on_batch, x, y)[0] for _ in range(steps + 1))
    found["step"] = statistics.median(others)
    found["peak"] = peak_memory()
    found["above"] = found["peak"] - found["of it imports"]
    assert not np.array_equal(before, model.get_weights()[0]), "a step must change the first kernel"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        found["save"], _ = clocked(model.save, path)
        found["load"], again = clocked(keras.saving.load_model, path)
    # Eager calls: tracing another graph would double what is measured.
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(x)) for m in (model, again)))
    parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    return {"model": name, "form": form, "depth": depth, "batch": batch, "parameters": parameters, **found}


def child(task):
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(task)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def line(row):
    cells = [row["model"], row["form"], str(row["depth"]), str(row["batch"]), f"{row['parameters']:,}"]
    cells += [f"{row[column]:.2f}" for column in COLUMNS[5:]]
    return f"| {' | '.join(cells)} |"


def write(rows, folder, machine):
    """The table as CSV, and a figure."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "depth.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for axis, column in zip(axes, ("first step", "step", "peak"), strict=True):
        for (model, form), group in groups(rows).items():
            axis.plot([r["depth"] for r in group], [r[column] for r in group], "o-", label=f"{model}, {form}")
        axis.set(xscale="log", yscale="log", xlabel="depth", title=f"{column} ({'GiB' if column == 'peak' else 's'})")
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(fontsize=8)
    figure.suptitle(machine, fontsize=7)
    figure.savefig(folder / "depth.png", dpi=100)


def groups(rows):
    """Rows by model and form."""
    found = {}
    for row in rows:
        found.setdefault((row["model"], row["form"]), []).append(row)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, nargs="+", default=["sparsenet-bc"])
    parser.add_argument("--depth", type=int, nargs="+", default=[100, 200, 400, 1001])
    parser.add_argument("--form", choices=FORMS, nargs="+", default=["unrolled", "loop"])
    parser.add_argument("--unrolled-until", type=int, default=400, metavar="DEPTH")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="steps after the first, of which the median counts")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for depth.csv and depth.png")
    parser.add_argument("--quick", action="store_true", help="depths 22 and 40, two steps")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*json.loads(arguments.child))))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from masked_training import machine

    from keras_sparse.studies.training_costs import exponent

    depths, steps = ([22, 40], 2) if arguments.quick else (arguments.depth, arguments.steps)
    here = machine()
    print(here)
    units = {**dict.fromkeys(SECONDS, " (s)"), **dict.fromkeys(("peak", "of it imports", "above"), " (GiB)")}
    print(f"| {' | '.join(c + units.get(c, '') for c in COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    rows = []
    for model in arguments.model:
        for depth in depths:
            for form in ["unrolled"] if model == "densenet-bc" else arguments.form:
                if form != "unrolled" or depth <= arguments.unrolled_until:
                    rows.append(child([model, depth, form, arguments.batch_size, steps]))
                    print(line(rows[-1]), flush=True)
    for (model, form), group in groups(rows).items():
        if len(group) > 1:
            costs = {column: [row[column] for row in group] for column in FITTED}
            grown = [row["depth"] for row in group]
            fitted = ", ".join(f"{column} {exponent(grown, cost):.2f}" for column, cost in costs.items())
            print(f"{model}, {form}, exponents of depth: {fitted}")
            ratios = ", ".join(f"{column} {group[-1][column] / group[0][column]:.2f}" for column in FITTED)
            print(f"{model}, {form}, depth {group[-1]['depth']} to {group[0]['depth']}: {ratios}")
    if arguments.output:
        write(rows, arguments.output, here)


if __name__ == "__main__":
    main()
