"""What `load` returns."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels in three splits.

    Attributes:
        name: String.
        classes: Integer, number of classes.
        image_shape: Tuple (height, width, channels).
        train: Split to learn from.
        validation: Split to watch while learning.
        test: Split to report. It is the validation split too where no part of the training images was held out.
    """

    name: str
    classes: int
    image_shape: tuple
    train: object
    validation: object
    test: object

    def __str__(self):
        return (
            f"{self.name}: {self.train.size} training, {self.validation.size} validation and {self.test.size} test "
            f"images of {'x'.join(map(str, self.image_shape))} in {self.classes} classes"
        )
