"""Installing a model folder under its name, checked whole first."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyfer.errors import ModelError
from pyfer.files import home, replace_folder
from pyfer.models.folders import installed, is_shipped
from pyfer.models.runtime import Model


def add(folder: str | Path) -> Path:
    """Check a model folder whole and install it under its name; return where it lies now.

    Raises
    ------
    ModelError
        The folder does not hold a working model, its name is that of a shipped model, its encoder is not
        installed, or it cannot be written.
    """
    model = Model(Path(folder))
    if is_shipped(model.name):
        raise ModelError(f"name={model.name!r} is that of a model that ships with pyFER; choose another name")
    encoder = model.spec.encoder
    if encoder is not None and (encoder.model not in dict(installed()) or encoder.model == model.name):
        raise ModelError(
            f"model {model.name!r}: its encoder {encoder.model!r} must be another model that is "
            "installed, as only this folder is copied; 'pyfer models add' the encoder first and give its name"
        )
    target = home() / "models" / model.name
    try:
        with replace_folder(target) as fresh:
            for path in model.folder.iterdir():
                if path.is_file():
                    shutil.copy2(path, fresh / path.name)
    except OSError as error:
        raise ModelError(f"model {model.name!r} cannot be installed as {str(target)!r}: {error}") from error
    return target
