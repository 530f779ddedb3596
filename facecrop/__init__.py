"""Raw profile folders in; a clean, cached, explained face-attribute dataset out.

Every command is a function here: `facecrop.preprocess(raw, out)` does what `facecrop preprocess`
does. They are imported when they are first used, so that `import facecrop` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facecrop.commands.audit import accept as audit_accept
    from facecrop.commands.audit import accept_review as audit_accept_review
    from facecrop.commands.audit import audit
    from facecrop.commands.audit import propose as audit_propose
    from facecrop.commands.audit import withdraw as audit_withdraw
    from facecrop.commands.cache import cache_prune, cache_size
    from facecrop.commands.demo import demo as draw_demo
    from facecrop.commands.explain import explain
    from facecrop.commands.export import export
    from facecrop.commands.merge import merge
    from facecrop.commands.models import models_licences, models_list, models_pull
    from facecrop.commands.predict import predict
    from facecrop.commands.preprocess import preprocess
    from facecrop.commands.relabel import (
        relabel,
        relabel_export,
        relabel_list,
        relabel_log,
        suggest_policy,
    )
    from facecrop.commands.relabel_labelstudio import relabel_from_labelstudio
    from facecrop.commands.runs import runs
    from facecrop.commands.split import split, verify_split
    from facecrop.commands.stats import stats
    from facecrop.commands.train import train
    from facecrop.commands.tune import tune
    from facecrop.commands.vote import vote

_HOMES = {
    "audit": "audit:audit",
    "audit_accept": "audit:accept",
    "audit_accept_review": "audit:accept_review",
    "audit_propose": "audit:propose",
    "audit_withdraw": "audit:withdraw",
    "cache_prune": "cache:cache_prune",
    "cache_size": "cache:cache_size",
    "merge": "merge:merge",
    "models_licences": "models:models_licences",
    "models_list": "models:models_list",
    "models_pull": "models:models_pull",
    "preprocess": "preprocess:preprocess",
    "relabel": "relabel:relabel",
    "relabel_export": "relabel:relabel_export",
    "relabel_from_labelstudio": "relabel_labelstudio:relabel_from_labelstudio",
    "relabel_list": "relabel:relabel_list",
    "relabel_log": "relabel:relabel_log",
    "suggest_policy": "relabel:suggest_policy",
    "runs": "runs:runs",
    "split": "split:split",
    "verify_split": "split:verify_split",
    "stats": "stats:stats",
    "train": "train:train",
    "predict": "predict:predict",
    "tune": "tune:tune",
    "vote": "vote:vote",
    "explain": "explain:explain",
    "export": "export:export",
    "draw_demo": "demo:demo",  # `facecrop.demo` is the package that draws
}
__all__ = [
    "audit",
    "audit_accept",
    "audit_accept_review",
    "audit_propose",
    "audit_withdraw",
    "cache_prune",
    "cache_size",
    "draw_demo",
    "explain",
    "export",
    "merge",
    "models_licences",
    "models_list",
    "models_pull",
    "predict",
    "preprocess",
    "relabel",
    "relabel_export",
    "relabel_from_labelstudio",
    "relabel_list",
    "relabel_log",
    "runs",
    "split",
    "stats",
    "suggest_policy",
    "train",
    "tune",
    "verify_split",
    "vote",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'facecrop' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"facecrop.commands.{module}"), attribute)
