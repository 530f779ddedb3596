"""Every check of the audit, in the order of its report. A new one is a file and a line here."""

from facecrop.checks.check import Check
from facecrop.registry import Registry

CHECKS: Registry[Check] = Registry(
    "check",
    {
        # files and folders
        "unreadable": "facecrop.checks.unreadable:CHECK",
        "missing-crops": "facecrop.checks.missing_crops:CHECK",
        "wrong-extension": "facecrop.checks.wrong_extension:CHECK",
        "odd-format": "facecrop.checks.odd_format:CHECK",
        "foreign-files": "facecrop.checks.foreign_files:CHECK",
        "profile-files": "facecrop.checks.profile_files:CHECK",
        "duplicate-id": "facecrop.checks.duplicate_id:CHECK",
        "unknown-labels": "facecrop.checks.unknown_labels:CHECK",
        "impossible-labels": "facecrop.checks.impossible_labels:CHECK",
        # pixels
        "no-face": "facecrop.checks.no_face:CHECK",
        "several-people": "facecrop.checks.several_people:CHECK",
        "fallback": "facecrop.checks.fallback:CHECK",
        "implausible-box": "facecrop.checks.implausible_box:CHECK",
        "matte": "facecrop.checks.matte:CHECK",
        "blur": "facecrop.checks.pixels:BLUR",
        "dark": "facecrop.checks.pixels:DARK",
        "over-exposed": "facecrop.checks.pixels:OVER_EXPOSED",
        "low-information": "facecrop.checks.pixels:LOW_INFORMATION",
        "gray": "facecrop.checks.pixels:GRAY",
        "borders": "facecrop.checks.pixels:BORDERS",
        "odd-size": "facecrop.checks.odd_size:CHECK",
        # photographs and people
        "duplicates": "facecrop.checks.same_photograph:DUPLICATES",
        "contradicting-labels": "facecrop.checks.same_photograph:CONTRADICTING",
        "wrong-person": "facecrop.checks.people:STRANGER",
        "one-person-twice": "facecrop.checks.people:TWICE",
        # labels, by the out-of-fold predictions of a run
        "gender-suspect": "facecrop.checks.gender_suspects:CHECK",
        "age-suspect": "facecrop.checks.age_suspects:CHECK",
        "mask-suspect": "facecrop.checks.mask_suspects:SUSPECT",
        "swapped-masks": "facecrop.checks.mask_suspects:SWAPPED",
        "shortcut": "facecrop.checks.shortcut:CHECK",
        # splits and policy
        "certificate": "facecrop.checks.certificate:CHECK",
        "missing-class": "facecrop.checks.classes:MISSING",
        "dropped-ages": "facecrop.checks.classes:DROPPED",
    },
)
