"""Every count of parameters and of operations that the two SparseNet papers print, with the network it belongs to.

Rows on networks that this package does not build are left out: wide ResNet, the ResNet of two 3x3 convolutions, the
pruned ResNet-50, and FractalNet, whose filters are not printed.
"""

import dataclasses

from keras_sparse.applications import get_model

STUDY = "SparseNet study"
ZHU = "Zhu et al."


@dataclasses.dataclass(frozen=True)
class PublishedCount:
    """A printed count, and the network of this package that should have it.

    Attributes:
        source: String, paper and table or figure.
        model: Name in `applications.MODELS`.
        arguments: Dictionary of the constructor's other arguments.
        parameters: Millions of parameters, as printed.
        decimals: Integer, decimals printed.
        by_rule: Millions that the paper's own rule gives, as far as they are known, where no reading of it gives the
            printed count; else None.
        gflops: Thousand millions of operations for an image, as printed, a multiply-add being two; or None.
    """

    source: str
    model: str
    arguments: dict
    parameters: float
    decimals: int
    by_rule: float | None = None
    gflops: float | None = None

    @property
    def label(self):
        """`sparsenet depth=40 growth_rate=12 bottleneck classes=10`."""
        words = [
            name if value is True else f"{name}={value}".replace(" ", "") for name, value in self.arguments.items()
        ]
        return " ".join([self.model, *words])

    def build(self):
        return get_model(self.model, **self.arguments)


def _study():
    """Figs. 5 and 7: counts with 10 and with 100 classes."""
    rows = [
        ("sparsenet", True, 40, 12, 0.1242, 0.1276),
        ("sparsenet", True, 100, 24, 1.4378, 1.4487),
        ("sparsenet", True, 100, 36, 3.2199, 3.2362),
        ("sparsenet", True, 100, 64, 10.1343, 10.1632),
        ("sparsenet", True, 100, (16, 32, 64), 4.3337, 4.3626),
        ("sparsenet", False, 100, 24, 2.4773, 2.4904),
        ("sparsenet", False, 100, 36, 5.5550, 5.5745),
        ("densenet", True, 40, 12, 0.1761, 0.1881),
        ("densenet", True, 100, 24, 3.0205, 3.0822),
        ("densenet", True, 100, 36, 6.7540, 6.8465),
        ("densenet", True, 100, 64, 21.2297, 21.3940),
        ("densenet", True, 100, (16, 32, 64), 7.7418, 7.8639),
        ("densenet", False, 100, 24, 28.0717, 28.2835),
        ("densenet", False, 100, 36, 62.9645, 63.2821),
    ]
    for model, bottleneck, depth, growth_rate, *printed in rows:
        for figure, classes, parameters in zip((5, 7), (10, 100), printed, strict=True):
            arguments = {"depth": depth, "growth_rate": growth_rate}
            arguments |= {"bottleneck": True} if bottleneck else {}
            yield PublishedCount(f"{STUDY}, Fig. {figure}", model, {**arguments, "classes": classes}, parameters, 4)


def _zhu(table, model, depth, growth_rate, parameters, decimals, classes=100, by_rule=None, **arguments):
    arguments = {"depth": depth, "growth_rate": growth_rate, **arguments, "classes": classes}
    return PublishedCount(f"{ZHU}, Table {table}", model, arguments, parameters, decimals, by_rule)


def _resnet(table, model, depth, parameters, decimals, by_rule=None, **arguments):
    return PublishedCount(
        f"{ZHU}, Table {table}", model, {"depth": depth, **arguments, "classes": 10}, parameters, decimals, by_rule
    )


def _imagenet(model, parameters, gflops, decimals=2, by_rule=None, **arguments):
    return PublishedCount(f"{ZHU}, Table 4", model, arguments, parameters, decimals, by_rule, gflops)


# Counts by 100 classes, or by 10 where only those give the printed digits. "SparseNet (k=12) 40" is k=24 with a stem of
# 48 filters, which the authors' own repository says.
PUBLISHED_COUNTS = (
    *_study(),
    _resnet(2, "resnet", 164, 1.7, 1),
    _resnet(2, "resnet", 1001, 10.2, 1, by_rule=10.328),
    _zhu(2, "densenet", 40, 12, 1.1, 1),
    _zhu(2, "densenet", 100, 12, 7.2, 1),
    _zhu(2, "densenet", 100, 24, 28.3, 1),
    _zhu(2, "densenet", 100, (16, 32, 64), 61.1, 1, classes=10, by_rule=61.70),
    _zhu(2, "densenet", 100, (32, 64, 128), 241.6, 1, classes=10, by_rule=242.68),
    _zhu(2, "densenet", 250, 24, 15.3, 1, classes=10, bottleneck=True),
    _zhu(2, "densenet", 190, 40, 25.6, 1, classes=10, bottleneck=True),
    _zhu(2, "densenet", 100, (16, 32, 64), 7.9, 1, bottleneck=True),
    _zhu(2, "densenet", 100, (32, 64, 128), 30.5, 1, classes=10, bottleneck=True),
    _zhu(2, "sparsenet", 40, 24, 0.8, 1, stem_filters=48),
    _zhu(2, "sparsenet", 100, 24, 2.5, 1),
    _zhu(2, "sparsenet", 100, 36, 5.7, 1, by_rule=5.5745),
    _zhu(2, "sparsenet", 100, (16, 32, 64), 7.2, 1),
    _zhu(2, "sparsenet", 100, (32, 64, 128), 27.7, 1, by_rule=28.67),
    _zhu(2, "sparsenet", 100, 24, 1.5, 1, bottleneck=True, stem_filters=48),
    _zhu(2, "sparsenet", 100, 36, 3.3, 1, bottleneck=True, stem_filters=72),
    _zhu(2, "sparsenet", 100, (16, 32, 64), 4.4, 1, bottleneck=True),
    _zhu(2, "sparsenet", 100, (32, 64, 128), 16.7, 1, by_rule=17.32, bottleneck=True),
    *(
        _resnet(3, model, depth, parameters, 2, **arguments)
        for model, arguments in (
            ("resnet", {}),
            ("sparsenet", {"growth_rate": (16, 32, 64), "bottleneck": True, "operator": "sum"}),
        )
        for depth, parameters in ((56, 0.59), (110, 1.15), (200, 2.07), (1001, 10.33), (2000, 20.62))
    ),
    _zhu(3, "densenet", 40, 12, 1.10, 2),
    _zhu(3, "densenet", 100, 12, 7.20, 2, by_rule=7.19),
    _zhu(3, "densenet", 400, 12, 117, 0, classes=10),
    _zhu(3, "densenet", 250, 24, 25.6, 1, classes=10, by_rule=15.3, bottleneck=True),
    _zhu(3, "densenet", 400, 24, 216.3, 1, by_rule=37.1, bottleneck=True),
    _zhu(3, "densenet", 400, 4, 1.10, 2, classes=10, by_rule=1.12, bottleneck=True),
    _zhu(3, "densenet", 1001, 4, 6.63, 2, bottleneck=True),
    _zhu(3, "sparsenet", 100, 12, 0.40, 2, by_rule=0.37, bottleneck=True),
    _zhu(3, "sparsenet", 400, 12, 1.70, 2, bottleneck=True),
    _zhu(3, "sparsenet", 1001, 12, 4.62, 2, bottleneck=True),
    _imagenet("densenet121", 7.98, 5.7),
    _imagenet("densenet169", 14.15, 6.76),
    _imagenet("densenet201", 20.01, 8.63),
    _imagenet("densenet264", 27.21, 11.03),
    _imagenet("sparsenet121", 4.51, 3.46),
    _imagenet("sparsenet169", 6.23, 3.74),
    _imagenet("sparsenet201", 7.22, 4.13),
    _imagenet("sparsenet201", 14.91, 9.19, growth_rate=48),
    _imagenet("resnet50", 25.5, 8.20, decimals=1, by_rule=25.58),
)
