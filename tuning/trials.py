"""What came out of the trials of a search, as it lies in their folders."""

import dataclasses
import json
import traceback
from pathlib import Path

import keras

from keras_sparse.analysis.text_table import short
from keras_sparse.training.run_folder import RunFolder

TRIALS = "trials"  # the folder of a search in which KerasTuner and the runs keep theirs
ERROR = "error.txt"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        name: String, its number.
        status: "completed", "stopped" (early), "failed" or "running".
        values: Dictionary of what was searched.
        folder: Path of its run: `recipe.json`, `best.keras`, `history.csv` and more.
        scores: List of what was searched for, the higher the better, one for each epoch.
        val_accuracy: Number, of its best epoch; None if it was not trained. So are the next ones.
        test_accuracy: Number, of the last epoch.
        parameters: Integer, connected ones.
        macs: Integer, per example.
        epochs: Integer.
        seconds: Number.
        error: String, what a failed trial failed of; "" for others.
    """

    name: str
    status: str
    values: dict
    folder: Path
    scores: list = dataclasses.field(default_factory=list)
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    parameters: int | None = None
    macs: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    error: str = ""

    @property
    def score(self):
        return max(self.scores, default=None)

    @property
    def val_error(self):
        return None if self.val_accuracy is None else 1 - self.val_accuracy

    def load_model(self):
        """The model of the best epoch, with its masks, compiled."""
        return keras.saving.load_model(self.folder / "best.keras")

    def words(self):
        """`depth=22 growth_rate=8 bottleneck`: what was searched, in the words of a table."""
        named = {name.removeprefix("sparsity/"): value for name, value in self.values.items()}
        words = [name if value is True else f"{name}={value}".replace(" ", "") for name, value in named.items()]
        return " ".join(word for word in words if not word.endswith("=False"))

    def line(self):
        """A line for logs."""
        if self.error:
            return f"trial {self.name}: {self.words()}: {self.error}"
        early = ", ended early" if self.status == "stopped" else ""
        return (
            f"trial {self.name}: {self.words()}: validation {self.val_accuracy:.4f}, {self.parameters:,} parameters, "
            f"{short(self.macs)} MACs, {self.epochs} epochs{early}, {self.seconds:.1f} s"
        )

    @staticmethod
    def write_error(folder, error):
        """Keeps what an exception says, and then where it came from, in the folder of a run."""
        what = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        folder.write_text(ERROR, "\n".join([what, "", *traceback.format_exception(error)]))

    @classmethod
    def read(cls, folder):
        """The trial in a folder of KerasTuner's."""
        folder = RunFolder(folder)
        state = json.loads(folder.file("trial.json").read_text(encoding="utf-8"))
        values = {k: v for k, v in state["hyperparameters"]["values"].items() if not k.startswith("tuner/")}
        trial = cls(state["trial_id"], state["status"].lower(), values, folder.path)
        if trial.status == "failed":
            return dataclasses.replace(trial, error=_error(folder, state["message"]))
        result = folder.read_result()
        if trial.status != "completed" or "scores" not in (result or {}):
            return dataclasses.replace(trial, status="running")
        result = {name: value for name, value in result.items() if hasattr(trial, name)}
        planned = state["hyperparameters"]["values"].get("tuner/epochs") or folder.read_recipe().epochs
        status = "stopped" if result["epochs"] < planned else "completed"
        return dataclasses.replace(trial, status=status, **result)

    @classmethod
    def read_all(cls, output):
        """The trials of a search, in the order of their numbers."""
        trials = [cls.read(file.parent) for file in (Path(output) / TRIALS).glob("trial_*/trial.json")]
        return sorted(trials, key=lambda trial: int(trial.name))


def _error(folder, message):
    """What a trial failed of, in a line."""
    if folder.file(ERROR).is_file():
        return folder.file(ERROR).read_text(encoding="utf-8").splitlines()[0]
    return (message or "It failed without a message.").strip().splitlines()[-1]
