"""Two pictures, as inline SVG: lines over numbers, and bars beside names."""

from html import escape

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 16, 40
COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80", "#8d6a9f")


def lines(
    series: dict[str, list[tuple[float, float]]], x_name: str, y_name: str, marked: float | None = None
) -> str:
    """A line a name through its points (x, y); a dotted line at x = `marked`."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1e-9)
    y_low, y_high = min(ys), max(max(ys), min(ys) + 1e-9)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - x_low) / (x_high - x_low) * (right - LEFT),
            bottom - (y - y_low) / (y_high - y_low) * (bottom - TOP),
        )

    parts = []
    for i in range(5):
        y = y_low + (y_high - y_low) * i / 4
        _, py = at(x_low, y)
        parts.append(f'<line x1="{LEFT}" y1="{py:.1f}" x2="{right}" y2="{py:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    for i in range(5):
        x = x_low + (x_high - x_low) * i / 4
        px, _ = at(x, y_low)
        parts.append(f'<text x="{px:.1f}" y="{bottom + 16}" text-anchor="middle">{x:.3g}</text>')
    if marked is not None:
        px, _ = at(marked, y_low)
        parts.append(f'<line x1="{px:.1f}" y1="{TOP}" x2="{px:.1f}" y2="{bottom}" class="mark"/>')
    ends = []
    for (name, points), colour in zip(series.items(), COLOURS):
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(x, y) for x, y in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        ends.append([at(*points[-1])[1] + 4, name, colour])
    # Names stand at the ends of their lines, and not on one another.
    ends.sort()
    for above, below in zip(ends, ends[1:]):
        below[0] = max(below[0], above[0] + 15)
    for y, name, colour in ends:
        parts.append(f'<text x="{right + 6}" y="{y:.1f}" fill="{colour}">{escape(name)}</text>')
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>'
    )
    parts.append(
        f'<text x="14" y="{(TOP + bottom) / 2}" transform="rotate(-90 14 {(TOP + bottom) / 2})" text-anchor="middle">{escape(y_name)}</text>'
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_name)} over {escape(x_name)}">{"".join(parts)}</svg>'


def bars(values: dict[str, float], unit: str) -> str:
    """A bar a name, in the order given; below 0 they go the other way."""
    height, name_width, number_width = 18, 190, 70
    low, high = min(0.0, *values.values()), max(1e-9, *values.values())
    scale = (WIDTH - name_width - number_width) / (high - low)
    zero = name_width - low * scale
    parts = []
    for i, (name, value) in enumerate(values.items()):
        y = i * height
        x, width = (zero, value * scale) if value >= 0 else (zero + value * scale, -value * scale)
        colour = COLOURS[0] if value >= 0 else COLOURS[1]
        parts.append(f'<text x="{name_width - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{max(width, 0.5):.1f}" height="{height - 6}" fill="{colour}"/>'
        )
        parts.append(f'<text x="{max(x + width, zero) + 5:.1f}" y="{y + 13}">{value:.4f}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {len(values) * height + 4}" role="img" aria-label="{escape(unit)}">{"".join(parts)}</svg>'
