"""Metrics for those who watch: TensorBoard's event files, and Weights & Biases if asked for."""

from collections.abc import Mapping
from typing import Any, Self

from facecrop.config import plain
from facecrop.errors import MissingExtraError
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings


class Events:
    """Passes on the metrics of each epoch; nothing is ever read back from there.

    Args:
        run: Whose metrics they are; the files lie in its folder.
        settings: Of the training, shown beside them.
        begins: First epoch that will be reported; what a killed training reported after it is void.
        project: Of Weights & Biases; None: not asked for. Whether anything leaves this machine is
            decided as ever by `WANDB_MODE`.
        writes: Whether this process reports; one of several does.

    Raises:
        MissingExtraError: wandb was asked for, and is not installed.
    """

    def __init__(
        self,
        run: Run,
        settings: TrainSettings,
        *,
        begins: int = 0,
        project: str | None = None,
        writes: bool = True,
    ) -> None:
        self._board: Any = None
        self._wandb: Any = None
        if not writes:
            return
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow to import

        run.events.mkdir(parents=True, exist_ok=True)
        self._board = SummaryWriter(str(run.events), purge_step=begins or None)
        if project is not None:
            self._wandb = _wandb_run(run, settings, project)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if kind is None else 1)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Report the metrics of an epoch."""
        if self._board is None:
            return
        epoch = int(row["epoch"])
        for name, value in row.items():
            if name != "epoch":
                self._board.add_scalar(name, value, epoch)
        self._board.flush()
        if self._wandb is not None:
            self._wandb.log(dict(row), step=epoch)


def _wandb_run(run: Run, settings: TrainSettings, project: str) -> Any:
    try:
        import wandb  # noqa: PLC0415 - only if asked for
    except ImportError:
        raise MissingExtraError("--wandb needs wandb: pip install wandb") from None
    config = plain(settings)
    return wandb.init(
        project=project,
        name=run.name,
        id=run.name.replace("/", "-"),
        resume="allow",
        dir=str(run.folder),
        config=config if isinstance(config, dict) else {},
    )
