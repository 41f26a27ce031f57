"""Draw scenes of the world, many at once, with anti-aliased edges.

python -m recipes.tiny show --out world.png
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.tiny.world import COLOURS, PATTERNS, SHAPES, STYLES, TEXTURES, Scene

_CELLS = 5
"""Cells of a texture along a side: 8 px each, one image token of the denoiser."""


def draw(scenes: list[Scene], side: int = 40) -> Tensor:
    """Draw `scenes` as RGB images in [0, 1], shape (scenes, 3, side, side)."""
    field = _Field(scenes, side)
    body = _body(field)
    picture = torch.where(body[:, None] > 0, _mix(_background(field), _ink(field), body), _background(field))
    outline = _index(scenes, lambda s: STYLES.index(s.style)) == STYLES.index("outlined")
    rim = (1 - (field.depth.abs() - 0.9).clamp(0, 1)) * outline[:, None, None]
    return _mix(picture, torch.full_like(picture, 0.05), rim).clamp(0, 1)


class _Field:
    """Coordinates of every pixel as each scene's object sees them."""

    def __init__(self, scenes: list[Scene], side: int) -> None:
        """Place the pixel grid of `side` into the frame of each scene's object."""
        self.scenes, self.side = scenes, side
        grid = (torch.arange(side) + 0.5) / side
        column = [_column(scenes, name) for name in ("x", "y", "radius", "angle", "phase")]
        x, y, self.radius, angle, self.phase = column
        dx, dy = grid[None, None, :] - x, grid[None, :, None] - y
        self.u = (dx * angle.cos() + dy * angle.sin()) / self.radius
        self.v = (dy * angle.cos() - dx * angle.sin()) / self.radius
        self.depth = _depth(self) * self.radius * side


def _column(scenes: list[Scene], name: str) -> Tensor:
    return torch.tensor([getattr(scene, name) for scene in scenes])[:, None, None]


def _index(scenes: list[Scene], of: Callable[[Scene], int]) -> Tensor:
    return torch.tensor([of(scene) for scene in scenes])


def _mix(under: Tensor, over: Tensor, share: Tensor) -> Tensor:
    return under + (over - under) * share[:, None]


def _colours(names: list[str]) -> Tensor:
    return torch.tensor([COLOURS[name] for name in names])[:, :, None, None]


@dataclass(frozen=True)
class _Points:
    """Pixels as an object sees them, in radii: `u` right, `v` down; `rho`, `theta` (0 is up) are the same in polar."""

    u: Tensor
    v: Tensor

    @property
    def rho(self) -> Tensor:
        return torch.hypot(self.u, self.v)

    @property
    def theta(self) -> Tensor:
        return torch.atan2(self.u, -self.v)


def _depth(field: _Field) -> Tensor:
    """Measure how far inside its outline a pixel lies, in radii; negative outside."""
    shape = _index(field.scenes, lambda scene: SHAPES.index(scene.concept.shape))
    depth = torch.empty_like(field.u)
    for index, name in enumerate(SHAPES):
        rows = shape == index
        if rows.any():
            depth[rows] = _SHAPES[name](_Points(field.u[rows], field.v[rows]))
    return depth


def _triangle(at: _Points) -> Tensor:
    sector = 2 * math.pi / 3
    return 1.15 * math.cos(math.pi / 3) - at.rho * torch.cos(at.theta.remainder(sector) - sector / 2)


def _star(at: _Points) -> Tensor:
    """Run a straight edge from each tip (phi = 0) to the notch beside it (phi = half)."""
    half, inner = math.pi / 5, 0.5
    phi = ((at.theta + half).remainder(2 * half) - half).abs()
    edge = inner * math.sin(half) / (inner * torch.sin(half - phi) + torch.sin(phi))
    return (1.1 * edge - at.rho) * 0.7


def _heart(at: _Points) -> Tensor:
    x, y = at.u.abs(), at.v - 0.05
    lobe = 0.54 - torch.hypot(x - 0.44, y + 0.34)
    tip = torch.minimum(0.63 - (x + y) * 0.7071, 0.6 - (x - y) * 0.7071)
    return torch.maximum(lobe, torch.minimum(tip, y + 0.36))


def _cross(at: _Points) -> Tensor:
    x, y = at.u.abs(), at.v.abs()
    return torch.maximum(torch.minimum(0.95 - x, 0.33 - y), torch.minimum(0.33 - x, 0.95 - y))


_SHAPES: dict[str, Callable[[_Points], Tensor]] = {
    "circle": lambda at: 0.95 - at.rho,
    "square": lambda at: 0.82 - torch.maximum(at.u.abs(), at.v.abs()),
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": lambda at: torch.minimum(0.97 - at.rho, at.rho - 0.5),
    "moon": lambda at: torch.minimum(0.97 - at.rho, torch.hypot(at.u - 0.45, at.v) - 0.72),
}


def _body(field: _Field) -> Tensor:
    return (field.depth + 0.5).clamp(0, 1)


def _ink(field: _Field) -> Tensor:
    """Colour the object: its pattern over its body, lit from the top left if shaded."""
    scenes = field.scenes
    ink, mark = _colours([s.concept.ink for s in scenes]), _colours([s.concept.mark for s in scenes])
    pixel = 1 / (field.radius * field.side)
    u, v, phase = field.u, field.v, field.phase
    waves = {
        "plain": torch.full_like(u, -1.0),
        "striped": _edge(0.25 - ((u / 0.7 + phase).remainder(1) - 0.5).abs(), pixel / 0.7),
        "dotted": _edge(0.32 - _cell(u / 0.68 + phase, v / 0.68), pixel / 0.68),
        "split": _edge(v + (phase - 0.5) * 0.2, pixel),
        "checked": _edge(_checks(u / 0.75 + phase, v / 0.75), pixel / 0.75),
    }
    pattern = _index(scenes, lambda s: PATTERNS.index(s.concept.pattern))
    share = torch.stack([waves[name] for name in PATTERNS])[pattern, torch.arange(len(scenes))].clamp(0, 1)
    shaded = _index(scenes, lambda s: STYLES.index(s.style)) == STYLES.index("shaded")
    light = 1 - shaded[:, None, None] * (0.2 + 0.24 * (u + v)).clamp(0, 0.5)
    return _mix(ink.expand(-1, -1, field.side, field.side), mark, share) * light[:, None]


def _edge(depth: Tensor, pixel: Tensor) -> Tensor:
    return (depth / pixel + 0.5).clamp(0, 1)


def _cell(a: Tensor, b: Tensor) -> Tensor:
    return torch.hypot(a.remainder(1) - 0.5, b.remainder(1) - 0.5)


def _checks(a: Tensor, b: Tensor) -> Tensor:
    x, y = (0.25 - (t.remainder(1) - 0.5).abs() for t in (a, b))
    return torch.where(x * y > 0, 1.0, -1.0) * torch.minimum(x.abs(), y.abs())


def _background(field: _Field) -> Tensor:
    """Colour the ground: plain, speckled with dots, or tiled with lines, in shades of its colour.

    Each cell of a texture has one of two tones at random: one prompt has many sharp grounds, and no blur between them.
    """
    scenes, side = field.scenes, field.side
    base = _colours([s.background for s in scenes]).expand(-1, -1, side, side)
    bright = base.mean(1, keepdim=True) > 0.5
    shade = torch.where(bright, base * 0.62, base + (1 - base) * 0.38)
    texture = _index(scenes, lambda s: TEXTURES.index(s.texture))
    grid = (torch.arange(side) + 0.5) / side
    shift = torch.tensor([_shift(scene) for scene in scenes])
    a = grid[None, None, :] * _CELLS + shift[:, 0, None, None]
    b = grid[None, :, None] * _CELLS + shift[:, 1, None, None]
    toned = _toned(scenes, a, b)
    speckles = _edge(0.3 - _cell(a, b), torch.tensor(_CELLS / side)) * (0.35 + 0.65 * toned)
    lines = torch.minimum(*(0.5 - (t.remainder(1) - 0.5).abs() for t in torch.broadcast_tensors(a, b)))
    tiles = torch.maximum(_edge(0.07 - lines, torch.tensor(_CELLS / side)), 0.5 * toned)
    share = torch.stack([torch.zeros_like(tiles), speckles, tiles])[texture, torch.arange(len(scenes))]
    return _mix(base, shade, share)


def _shift(scene: Scene) -> tuple[float, float]:
    """Say by how much of a cell a scene's texture is off the grid."""
    return ((scene.grain % 97) / 97, (scene.grain // 97 % 89) / 89) if scene.is_shifted else (0.0, 0.0)


def _toned(scenes: list[Scene], a: Tensor, b: Tensor) -> Tensor:
    """Tell which pixels lie in a cell of the second tone; the grain has a bit for each of 25 cells."""
    grain = _index(scenes, lambda s: s.grain)[:, None, None]
    cell = b.floor().long() % _CELLS * _CELLS + a.floor().long() % _CELLS
    return (grain >> cell & 1).float()
