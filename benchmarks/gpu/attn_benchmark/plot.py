"""The picture of a results file as plain SVG: TFLOP/s over length, a panel for each mask, type and head_dim."""
import html

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 300, 190, 46, 30, 26
_COLUMNS = 3
_COLOURS = ("#c0392b", "#2471a3", "#5dade2", "#1e8449", "#b7950b", "#7d3c98", "#5d6d7e", "#d35400", "#117a65")


def _panels(rows):
    """{title: {contender: [(length, tflops)]}}, in the order of the rows' masks, types and sizes."""
    panels = {}
    for row in sorted(rows, key=lambda row: (row["mask"], row["dtype"], row["head_dim"], row["length"])):
        title = f"{row['mask']} {row['dtype']} head_dim {row['head_dim']}"
        for name, entry in row["entries"].items():
            if entry.get("tflops"):
                panels.setdefault(title, {}).setdefault(name, []).append((row["length"], entry["tflops"]))
    return panels


def _panel(title, lines, names, top):
    lengths = sorted({length for points in lines.values() for length, _ in points})
    place_x = lambda length: _LEFT + (lengths.index(length) + 0.5) * (_WIDTH - _LEFT) / len(lengths)
    place_y = lambda value: _TOP + (_HEIGHT - _TOP - _GAP) * (1 - value / top)
    out = [f'<text x="{_LEFT}" y="18" class="title">{html.escape(title)}</text>']
    for step in range(5):
        value = top * step / 4
        y = place_y(value)
        out.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
                   f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" class="y">{value:.0f}</text>')
    for length in lengths:
        label = f"{length // 1024}k" if length % 1024 == 0 else str(length)
        out.append(f'<text x="{place_x(length):.1f}" y="{_HEIGHT - 10}" class="x">{label}</text>')
    for name, points in lines.items():
        colour = _COLOURS[names.index(name) % len(_COLOURS)]
        path = " ".join(f"{place_x(length):.1f},{place_y(value):.1f}" for length, value in points)
        width = 2.5 if name == "attnc" else 1.3
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        out += [f'<circle cx="{place_x(length):.1f}" cy="{place_y(value):.1f}" r="2.2" fill="{colour}"/>'
                for length, value in points]
    return "\n".join(out)


def svg(content):
    """The text of the picture, or None when nothing was measured."""
    panels = _panels(content["rows"])
    if not panels:
        return None
    names = sorted({name for lines in panels.values() for name in lines}, key=lambda name: (name != "attnc", name))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = columns * (_WIDTH + _GAP) + _GAP, rows * (_HEIGHT + _GAP) + 70
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           'font-size="11"><style>.title{font-weight:bold}.grid{stroke:#ddd}.y{text-anchor:end;fill:#666}'
           '.x{text-anchor:middle;fill:#666}</style><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{_GAP}" y="22" font-size="14">Forward attention, TFLOP/s: '
           f'{html.escape(content["device"]["description"])}, {html.escape(content["date"])}'
           f'{"" if content["measured"] else " (not measured on a GPU)"}</text>']
    for index, name in enumerate(names):
        x = _GAP + 105 * index
        out.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{_COLOURS[index % len(_COLOURS)]}"/>'
                   f'<text x="{x + 17}" y="44">{html.escape(name)}</text>')
    for index, (title, lines) in enumerate(panels.items()):
        top = 1.1 * max(value for points in lines.values() for _, value in points)
        x, y = _GAP + index % columns * (_WIDTH + _GAP), 60 + index // columns * (_HEIGHT + _GAP)
        out.append(f'<g transform="translate({x},{y})">\n{_panel(title, lines, names, top)}\n</g>')
    return "\n".join([*out, "</svg>"]) + "\n"
