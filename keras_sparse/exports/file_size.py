"""How large a file or a folder is, and how large it is when it is zipped."""

import dataclasses
import tempfile
import zipfile
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class FileSize:
    """Bytes of a file, or of all files in a folder, and of a zip archive of them (DEFLATE, level 9)."""

    bytes: int
    zipped_bytes: int

    @classmethod
    def of(cls, path):
        """Measures a file or a folder.

        Example:
            >>> FileSize.of("export/model.tflite")
            FileSize(bytes=1069756, zipped_bytes=75760)
        """
        path = Path(path)
        files = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
        with tempfile.TemporaryFile() as archive:
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
                for file in files:
                    zipped.write(file, file.relative_to(path.parent))
            return cls(sum(file.stat().st_size for file in files), archive.seek(0, 2))

    @classmethod
    def of_saved(cls, model):
        """Measures the `.keras` file of a model, with its optimizer if it has one."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            return cls.of(path)
