"""Settings of a training: what cannot go together is refused when it is read, in one line."""

import pytest

from facecrop.config import override, plain, validate
from facecrop.errors import ConfigError
from facecrop.training.presets import load_preset, shipped_presets
from facecrop.training.settings import TrainSettings

YEARS = 'model.age="regression"'
THREE = 'model.heads="three-way"'


def read(*assignments: str) -> TrainSettings:
    return validate(TrainSettings, override({}, assignments), "settings")


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        ([YEARS], "needs a head of its own: set heads to three-way or separate"),
        ([THREE, YEARS], "is trained with 'smooth-l1', not 'cross-entropy': set loss.age_group"),
        ([THREE, 'model.age="coral"'], "is trained with 'ordinal'"),
        (['loss.terms=[{name="smooth-l1"}]'], "is for ages in years or thresholds, not for mask"),
        (['loss.mask=[{name="focal"}]'], "a one-way head has one loss"),
        ([THREE, 'axes=["mask"]', 'model.age="distribution"'], "needs age_group among the axes"),
        (['axes=["mask","mask"]'], "axes must differ"),
        (["model.freeze=true", "model.freeze_epochs=2"], "leave out freeze_epochs"),
        (['model.weights="a.pt"', 'model.warm_start="b"'], "both name the trunk's start"),
        (["model.age_range=[60,20]"], "age_range must increase"),
        (["optim.ema=0.9", "optim.swa={start=1}"], "two ways to average weights"),
        (['loss.then=[{from_epoch=30,terms=[{name="focal"}]}]'], "each below optim.epochs"),
        (['augment.mix=[{name="mixup",p=0.7},{name="cutmix",p=0.7}]'], "must not exceed 1"),
        (['augment.transforms=[{name="blur",kernel=4}]'], "kernel must be odd, got 4"),
        (["optim.lr=0"], "optim.lr: input should be greater than 0, got 0"),
        (["optim.lr=nan"], "optim.lr"),
        (["optim.epoch=3"], "no setting 'optim.epoch'. Did you mean 'optim.epochs'?"),
        (["optim.schedule.name=cosin"], "optim.schedule.name: there is no 'cosin'. Did you mean"),
        (["loss.terms=[{gamma=2}]"], "loss.terms.0.name must be given"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(assignments: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(*assignments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_fits_together_is_read() -> None:
    settings = read(THREE, YEARS, 'loss.age_group=[{name="smooth-l1"}]')
    assert settings.model.age == "regression"
    assert settings.loss.terms[0].name == "cross-entropy"


@pytest.mark.parametrize("preset", [one.name for one in shipped_presets()])
def test_a_preset_written_out_is_read_back_as_it_was(preset: str) -> None:
    settings = load_preset(preset)
    written = plain(settings)
    assert isinstance(written, dict)
    assert validate(TrainSettings, written, preset) == settings
