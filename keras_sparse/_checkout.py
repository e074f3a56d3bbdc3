"""Lets a checkout serve `keras_sparse.applications` and `keras_sparse.tuning` from its top-level folders.

`setup.cfg` maps those two folders into the package, which every kind of install honours. One case is
left: the current folder is the checkout, so that Python finds `keras_sparse/` there before the installed
package. `find_in_checkout` closes it with a finder that answers for two names only. It is asked first: where another
checkout is installed to be edited, that one's finder would answer with folders of its own.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

FOLDERS = {
    "keras_sparse.applications": "applications",
    "keras_sparse.tuning": "tuning",
}


class CheckoutFinder:
    """Finds the packages of `FOLDERS` below the root of a checkout."""

    def __init__(self, root):
        self.root = Path(root)

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in FOLDERS:
            return None
        folder = self.root / FOLDERS[fullname]
        if not folder.is_dir():
            return None
        return importlib.util.spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def find_in_checkout(root):
    """Installs the finder if `root` is a checkout: a `setup.cfg` stands beside the package."""
    if (Path(root) / "setup.cfg").is_file():
        sys.meta_path.insert(0, CheckoutFinder(root))
