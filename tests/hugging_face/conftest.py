"""The small model that answers, and its data."""

from tests.tiny import model_directory, picture, tiny  # noqa: F401
