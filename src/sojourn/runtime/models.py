"""Pydantic's models as builtins, and back: for authors whose code has them.

Pydantic is no dependency of ours. What is asked of it is asked of the module that the author's code has imported
by then, and where none has, nothing is a model.
"""

import sys
from typing import Any, Final

__all__ = ["dump_model", "is_model", "is_model_form", "read_model"]

NAMES_SINCE: Final = "2.11"
"""The first version that reads a model by the names of its fields, whatever their aliases."""


def is_model(value: object) -> bool:
    """Tell whether a value is a model."""
    return is_model_form(type(value))


def is_model_form(form: object) -> bool:
    """Tell whether a type is a class of models."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and isinstance(form, type) and issubclass(form, base)


def dump_model(model: Any, *, is_json: bool) -> dict[str, Any]:
    """Return a model's fields by their names: as JSON would say them, or as Python's own values.

    Raises `TypeError` for a version of pydantic that could not read them again, and for what cannot be dumped.
    """
    _check_version(type(model))
    try:
        dumped: dict[str, Any] = model.model_dump(
            mode="json" if is_json else "python", by_alias=False, round_trip=True
        )
    except ValueError as error:  # pydantic's own, and what authors' serialisers raise
        raise TypeError(f"a {type(model).__qualname__} cannot be dumped: {error}") from None
    return dumped


def read_model(form: Any, plain: Any) -> Any:
    """Return the model of a class that `plain` stands for. Raises `ValueError` if it stands for none."""
    _check_version(form)
    return form.model_validate(plain, strict=False, by_alias=True, by_name=True)


def _check_version(form: Any) -> None:
    version = str(sys.modules["pydantic"].VERSION)
    if tuple(map(int, version.split(".")[:2])) < tuple(map(int, NAMES_SINCE.split("."))):
        problem = f"pydantic {version} is too old for {form.__qualname__}: {NAMES_SINCE} is needed"
        raise TypeError(problem)
