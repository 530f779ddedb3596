"""The trainer: crops and labels in, a model, its predictions and its curves out."""
