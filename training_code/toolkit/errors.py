"""The error that the toolkit raises, for the person who owns the model."""


class ToolkitError(Exception):
    """Data, a model or its code can't be used; the message says what is wrong, where, and what would be right."""
