"""The layout of a network: three short texts and some numbers that fully determine its shape.

Stem: ``32`` is a convolution to 32 channels, ``32/2`` one that also halves the map, for larger pictures. Edge: ``128``
is a block of 128 channels, ``exit4`` an exit on a 4x4 grid of averages, ``pool`` a 2x2 maximum. Cloud: ``256`` is a convolution, ``256+`` one with a
shortcut. With 32 bits the same layout is the full-precision *twin*, without quantisers and exits.
"""

from dataclasses import asdict, dataclass, fields

from .quant import LayoutError

MOST_SHARED = 16  # limit of the packed format
WIDTHS = ["1", "2", "4"]  # allowed bit widths of kernels that share one set of levels
APART = [("ways", "share"), ("ways", "extension"), ("appeals", "extension")]


def channels_of(token: str) -> int:
    """The number in a layout's token."""
    if not token.isdecimal() or int(token) == 0:
        raise LayoutError(f"'{token}' in a layout is not a number of channels, pool or, at the edge, exitGRID")
    return int(token)


@dataclass(frozen=True)
class Layout:
    """Everything that decides a network's shape; stored in every checkpoint."""

    classes: int = 10
    bits: int = 1
    size: int = 32
    stem: str = "32"
    edge: str = "64 pool 128 128 exit2 pool 128 128 128 exit4"
    split: int = 128
    cloud: str = "256 pool 256+ 256+ 256+"
    appeals: bool = False
    share: int = 1
    ways: str = ""
    extension: str = ""
    hard: str = ""

    def __post_init__(self):
        object.__setattr__(self, "stem", str(self.stem))  # older checkpoints have a number
        self.stems()
        for name in ("size", "split", "share"):
            if getattr(self, name) < 1:
                raise LayoutError(f"--{name} {getattr(self, name)}: at least 1 is needed")
        if self.share > MOST_SHARED:
            raise LayoutError(f"--share {self.share}: at most {MOST_SHARED} weights share a value")
        if ways := self.ways.split():
            if len(ways) < 2 or ways != [bits for bits in WIDTHS if bits in ways]:
                raise LayoutError(f"--ways '{self.ways}': give at least two of {', '.join(WIDTHS)}, in ascending order")
        given = {field.name for field in fields(self) if getattr(self, field.name) != field.default}
        for one, other in APART:
            if {one, other} <= given:
                raise LayoutError(f"--{one} and --{other} cannot be combined: a packed model supports only one of them")
        if labels := self.hard.split():
            known = [str(label) for label in range(self.classes)]
            if not self.extension or len(labels) < 2 or labels != [label for label in known if label in labels]:
                raise LayoutError(f"--hard '{self.hard}': with --extension, give at least two classes from 0 to {self.classes - 1}, in ascending order")

    def stems(self) -> list[tuple[int, int]]:
        """Channels and stride of each convolution of the stem."""
        found = [token.partition("/") for token in self.stem.split()]
        if not found:
            raise LayoutError("--stem is empty: at least one convolution is needed, such as 32")
        for width, slash, stride in found:
            if not width.isdecimal() or int(width) == 0 or (slash and stride not in ("1", "2")):
                raise LayoutError(f"--stem '{self.stem}': '{width}{slash}{stride}' must be WIDTH, or WIDTH/2 to halve the map")
        return [(int(width), int(stride or 1)) for width, _, stride in found]

    def to_dict(self) -> dict:
        return asdict(self)


TINY = Layout(classes=5, size=16, stem="8", edge="16 pool 16 exit2 pool 32 exit2", split=16, cloud="16 pool 16+")
