"""What was measured, round by round; medians over rounds, and ratios that are taken within a round."""

from dataclasses import dataclass, field
from statistics import median

from tests.bench.measuring import Sample


@dataclass
class Results:
    """The samples of each cell and contender, one a round: in a round's order, whoever had no turn in the last ones has fewer."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def add(self, cell: str, who: str, sample: Sample) -> None:
        """One more round's."""
        self.samples.setdefault((cell, who), []).append(sample)

    def rounds(self, cell: str, who: str) -> int:
        """How often it was measured."""
        return len(self.samples.get((cell, who), []))

    def value(self, cell: str, who: str, figure: str) -> float | None:
        """The median over rounds."""
        found = [sample[figure] for sample in self.samples.get((cell, who), []) if figure in sample]
        return median(found) if found else None

    def ratio(self, cell: str, one: str, other: str, figure: str) -> float | None:
        """One's figure to the other's in the same round; the median over rounds."""
        pairs = [(a, b) for a, b in self._pairs(cell, one, other, figure) if b]
        return median(a / b for a, b in pairs) if pairs else None

    def added(self, cell: str, one: str, other: str, figure: str) -> float | None:
        """One's figure less the other's in the same round; the median over rounds."""
        pairs = self._pairs(cell, one, other, figure)
        return median(a - b for a, b in pairs) if pairs else None

    def _pairs(self, cell: str, one: str, other: str, figure: str) -> list[tuple[float, float]]:
        rounds = zip(self.samples.get((cell, one), []), self.samples.get((cell, other), []), strict=False)
        return [(a[figure], b[figure]) for a, b in rounds if figure in a and figure in b]
