"""What is installed: methods, formats and metrics, as forms, CLI and docs show them."""

from typing import get_args

from tunery.data.cleaning.point import STEPS
from tunery.data.formats.point import FORMATS
from tunery.methods.point import METHODS
from tunery.metrics.point import METRICS
from tunery.schemas.project import ExtensionInfo
from tunery.schemas.settings import TrainingSettings

FINETUNING_TYPES: tuple[str, ...] = get_args(TrainingSettings.model_fields["finetuning_type"].annotation)


def methods() -> list[ExtensionInfo]:
    """Every training method with its settings and recommended values."""
    return [
        ExtensionInfo(
            name=name,
            title=method.TITLE,
            help=method.HELP,
            json_schema=method.Settings.model_json_schema(),
            takes=[id for id, format in FORMATS.all() if format.ROW_KIND in method.TAKES],
            needs=sorted(method.NEEDS),
            recommended={kind: dict(method.recommended(kind)) for kind in FINETUNING_TYPES},
        )
        for name, method in METHODS.all()
    ]


def formats() -> list[ExtensionInfo]:
    """Every data format."""
    return [
        ExtensionInfo(name=name, title=format.TITLE, help=format.HELP, takes=[format.ROW_KIND])
        for name, format in FORMATS.all()
    ]


def cleaning_steps() -> list[ExtensionInfo]:
    """Every cleaning step with its settings."""
    return [
        ExtensionInfo(
            name=name, title=step.TITLE, help=step.HELP, json_schema=step.Settings.model_json_schema()
        )
        for name, step in STEPS.all()
    ]


def metrics() -> list[ExtensionInfo]:
    """Every metric."""
    return [
        ExtensionInfo(
            name=name,
            title=metric.TITLE,
            help=metric.HELP,
            needs=[metric.NEEDS],
            higher_is_better=metric.HIGHER_IS_BETTER,
            share=metric.SHARE,
        )
        for name, metric in METRICS.all()
    ]
