"""Runs the notebooks of this folder and keeps what they show: `python examples/execute.py`.

Needs nbclient and ipykernel, which are among the requirements of `pip install -e '.[test]'`.
"""

from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def executed(path):
    """The notebook with new outputs, without what TensorFlow writes to the standard error while it loads."""
    notebook = nbformat.read(path, as_version=4)
    # Times of each cell would make a difference where nothing else does.
    options = {"timeout": 300, "kernel_name": "python3", "record_timing": False, "coalesce_streams": True}
    nbclient.NotebookClient(notebook, **options).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)  # of the Python that ran it
    return notebook


if __name__ == "__main__":
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path)
        print(path)
