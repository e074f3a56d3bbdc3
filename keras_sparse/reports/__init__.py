"""One page about what lies in folders: training runs, jobs of several, searches and studies.

>>> write_report(["runs/cifar", "runs/found", "runs/studies"], "report.html")

or `keras-sparse report runs/cifar runs/found runs/studies`. The page is a single file that asks for nothing else.
"""

from keras_sparse.reports.write_report import Report, write_report

__all__ = ["Report", "write_report"]
