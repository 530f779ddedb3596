"""What a user can mend, each with the exit code it ends a command with."""


class FacecropError(Exception):
    """Something the user can mend; its one line names the thing, the place and the cure."""

    exit_code = 1


class ConfigError(FacecropError):
    """A setting, recipe or option does not make sense."""


class RawError(FacecropError):
    """The raw folder or table cannot be used as it is."""


class TableError(FacecropError):
    """A table of the dataset is missing, damaged, or was changed by somebody else."""


class ManifestError(FacecropError):
    """A manifest of corrections does not fit the dataset."""


class WeightsError(FacecropError):
    """Model weights are missing, altered, or may not be used."""


class MissingExtraError(FacecropError):
    """An optional package is needed; the message has the command that installs it."""


class DeviceError(FacecropError):
    """The device that was asked for cannot be used."""


class StoreError(FacecropError):
    """The dataset folder cannot be written, or somebody else is writing it."""


class WorkerError(FacecropError):
    """Worker processes die whatever they are given."""


class LimitError(FacecropError):
    """A limit that the user set was passed."""

    exit_code = 3


def unwritable(place: object, error: OSError) -> StoreError:
    """Return what is said where a file or folder cannot be written."""
    return StoreError(f"{place} cannot be written: {error.strerror or error}")
