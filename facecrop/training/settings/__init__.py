"""What a training is: one frozen model of settings, read from a preset, refused if impossible."""

from facecrop.training.settings.train import TrainSettings

__all__ = ["TrainSettings"]
