"""Raw profile folders in; a clean, cached, explained face-attribute dataset out.

Every command is a function here: `facecrop.preprocess(raw, out)` does what `facecrop preprocess`
does. They are imported when they are first used, so that `import facecrop` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facecrop.commands.audit.command import accept as audit_accept
    from facecrop.commands.audit.command import accept_review as audit_accept_review
    from facecrop.commands.audit.command import audit
    from facecrop.commands.audit.command import propose as audit_propose
    from facecrop.commands.audit.command import withdraw as audit_withdraw
    from facecrop.commands.cache import cache_prune, cache_size
    from facecrop.commands.demo import demo as draw_demo
    from facecrop.commands.explain.command import explain
    from facecrop.commands.exports.command import export
    from facecrop.commands.merge import merge
    from facecrop.commands.models import models_licences, models_list, models_pull
    from facecrop.commands.predict.command import predict
    from facecrop.commands.preprocess.command import preprocess
    from facecrop.commands.relabel.command import (
        relabel,
        relabel_export,
        relabel_list,
        relabel_log,
        suggest_policy,
    )
    from facecrop.commands.relabel.labelstudio import relabel_from_labelstudio
    from facecrop.commands.runs import runs
    from facecrop.commands.split import split, verify_split
    from facecrop.commands.stats.command import stats
    from facecrop.commands.train.command import train
    from facecrop.commands.tune.command import tune
    from facecrop.commands.vote.command import vote

_HOMES = {
    "audit": "audit.command:audit",
    "audit_accept": "audit.command:accept",
    "audit_accept_review": "audit.command:accept_review",
    "audit_propose": "audit.command:propose",
    "audit_withdraw": "audit.command:withdraw",
    "cache_prune": "cache:cache_prune",
    "cache_size": "cache:cache_size",
    "merge": "merge:merge",
    "models_licences": "models:models_licences",
    "models_list": "models:models_list",
    "models_pull": "models:models_pull",
    "preprocess": "preprocess.command:preprocess",
    "relabel": "relabel.command:relabel",
    "relabel_export": "relabel.command:relabel_export",
    "relabel_from_labelstudio": "relabel.labelstudio:relabel_from_labelstudio",
    "relabel_list": "relabel.command:relabel_list",
    "relabel_log": "relabel.command:relabel_log",
    "suggest_policy": "relabel.command:suggest_policy",
    "runs": "runs:runs",
    "split": "split:split",
    "verify_split": "split:verify_split",
    "stats": "stats.command:stats",
    "train": "train.command:train",
    "predict": "predict.command:predict",
    "tune": "tune.command:tune",
    "vote": "vote.command:vote",
    "explain": "explain.command:explain",
    "export": "exports.command:export",
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
