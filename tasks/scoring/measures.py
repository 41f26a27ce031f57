"""What each name in `evaluate.metrics` measures, on which panel.

>>> measured(Sheet(drawn, drawn_by_base, judges), ["dino_d", "curvature"])

A metric's key is its panel and its name: "concept/dino_d@tiny-dino@3f0c...", "retention/curvature".
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PIL.Image import Image

from dopsd.metrics import few_step
from tasks.scoring.drawings import Drawing
from tasks.scoring.panels import Prompt
from tasks.scoring.sets import of_sets
from tasks.scoring.sheet import Score, Sheet, pictures


def measured(sheet: Sheet, metrics: Sequence[str]) -> list[Score]:
    """Measure everything that is asked for, in the order of `metrics`."""
    return [score for metric in metrics for score in _MEASURES[metric](sheet)]


def _dino_d(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("concept", "earlier", has_target=True), sheet.judges.likeness
    yield from _each(judge.name, drawn, judge.distances(pictures(drawn), sheet.targets(drawn)))


def _lpips_d(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("concept", "earlier", has_target=True), sheet.judges.perceptual
    yield from _each(judge.name, drawn, judge.distances(pictures(drawn), sheet.targets(drawn)))


def _clip_s(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("concept", "retention", "earlier"), sheet.judges.faithfulness
    yield from _each(judge.name, drawn, judge.scores(pictures(drawn), [one.prompt.plain for one in drawn]))


def _vlm_j(sheet: Sheet) -> Iterator[Score]:
    """Ask on novel scenes alone, as the paper does; on earlier concepts, wherever there is a target."""
    novel = [drawing for drawing in sheet.on("concept") if drawing.prompt.target is None]
    drawn, judge = novel + sheet.on("earlier", has_target=True), sheet.judges.consistency
    yield from _marks(judge.name, drawn, judge.marks(pictures(drawn), sheet.targets(drawn)))


def _quality_s(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("concept", "retention"), sheet.judges.quality
    yield from _marks(judge.name, drawn, judge.marks(pictures(drawn)))


def _aesthetic_s(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("concept", "retention"), sheet.judges.aesthetic
    yield from _marks(judge.name, drawn, judge.marks(pictures(drawn)))


def _curvature(sheet: Sheet) -> Iterator[Score]:
    drawn = sheet.on("retention")
    yield from _each("curvature", drawn, [drawing.curvature for drawing in drawn])


def _velocity_divergence(sheet: Sheet) -> Iterator[Score]:
    drawn = sheet.on("retention")
    strayed = [drawing.divergence for drawing in drawn if drawing.divergence is not None]
    yield from _each("velocity_divergence", drawn, strayed)


def _signal(signal: Callable[[Sequence[Image]], list[float]]) -> Callable[[Sheet], Iterator[Score]]:
    def measure(sheet: Sheet) -> Iterator[Score]:
        drawn = sheet.on("retention")
        yield from _each(signal.__name__, drawn, signal(pictures(drawn)))

    return measure


def _diversity(sheet: Sheet) -> Iterator[Score]:
    judge = sheet.judges.diversity
    for drawn in _by_prompt(sheet.on("concept", "retention")):
        yield from _each(judge.name, drawn, judge.spreads(pictures(drawn)))


def _frechet_to_base(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("retention"), sheet.judges.to_base
    base = [drawing for drawing in sheet.base if drawing.prompt.panel == "retention"]
    yield from of_sets(judge, drawn, pictures(base))


def _fid(sheet: Sheet) -> Iterator[Score]:
    drawn = sheet.on("concept", has_target=True)
    sheet.judges.fid.warn_of_few(len(drawn))
    yield from of_sets(sheet.judges.fid, drawn, sheet.targets(drawn))


def _kid(sheet: Sheet) -> Iterator[Score]:
    drawn = sheet.on("concept", has_target=True)
    sheet.judges.kid.warn_of_few(len(drawn))
    yield from of_sets(sheet.judges.kid, drawn, sheet.targets(drawn))


def _geneval(sheet: Sheet) -> Iterator[Score]:
    """Give each kind its own metric, and all kinds one, in which every kind counts alike."""
    drawn, judge = sheet.on("geneval"), sheet.judges.geneval
    asked = [sheet.judges.orders[drawing.prompt.text] for drawing in drawn]
    answers = judge.answers(pictures(drawn), asked)
    weights = [answer * share for answer, share in zip(answers, judge.shares(asked), strict=True)]
    yield from _each(judge.name, drawn, weights)
    for tag in sorted({order.tag for order in asked}):
        rows = [row for row, order in enumerate(asked) if order.tag == tag]
        some = [answers[row] for row in rows]
        yield from _each(f"geneval_{tag}@{judge.name.partition('@')[2]}", [drawn[row] for row in rows], some)


def _dpg(sheet: Sheet) -> Iterator[Score]:
    drawn, judge = sheet.on("dpg"), sheet.judges.dpg
    asked = [sheet.judges.items[drawing.prompt.text] for drawing in drawn]
    yield from _each(judge.name, drawn, judge.scores(pictures(drawn), asked))


_MEASURES: dict[str, Callable[[Sheet], Iterator[Score]]] = {
    "dino_d": _dino_d,
    "clip_s": _clip_s,
    "lpips_d": _lpips_d,
    "vlm_j": _vlm_j,
    "quality_s": _quality_s,
    "aesthetic_s": _aesthetic_s,
    "curvature": _curvature,
    "sharpness": _signal(few_step.sharpness),
    "contrast": _signal(few_step.contrast),
    "noise_floor": _signal(few_step.noise_floor),
    "velocity_divergence": _velocity_divergence,
    "diversity": _diversity,
    "frechet_to_base": _frechet_to_base,
    "fid": _fid,
    "kid": _kid,
    "geneval": _geneval,
    "dpg": _dpg,
}


def _each(name: str, drawn: Sequence[Drawing], values: Sequence[float]) -> Iterator[Score]:
    for drawing, value in zip(drawn, values, strict=True):
        yield Score(f"{drawing.prompt.panel}/{name}", drawing.prompt.text, drawing.seed, value)


def _marks(name: str, drawn: Sequence[Drawing], marks: Sequence[Any]) -> Iterator[Score]:
    """Give a judge's marks three times: as said, as expected from its first token, and which could not be read."""
    metric, _, judge = name.partition("@")
    yield from _each(name, drawn, [mark.label for mark in marks])
    yield from _each(f"{metric}_expected@{judge}", drawn, [mark.expected for mark in marks])
    yield from _each(f"{metric}_unread@{judge}", drawn, [float(mark.is_unread) for mark in marks])


def _by_prompt(drawn: Sequence[Drawing]) -> list[list[Drawing]]:
    found: dict[Prompt, list[Drawing]] = {}
    for drawing in drawn:
        found.setdefault(drawing.prompt, []).append(drawing)
    return list(found.values())
