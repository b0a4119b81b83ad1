"""What a person gets when an input or a call is refused; not how it is shown."""


class CacnbError(Exception):
    """A refusal in one or two lines: what came, what was wanted and what to do next.

    Nothing a patient is named by may stand in the message: DICOM text tags never go into it.
    """

    exit_status = 1


class InputError(CacnbError):
    """The input was understood and refused; `code` is a stable snake_case word for scripts.

    Example
    -------
    >>> InputError("no_heart", "no heart was found").code
    'no_heart'
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UsageError(CacnbError):
    """The call itself was wrong: an option that does not exist, a value out of its range."""

    exit_status = 2
