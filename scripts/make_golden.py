#!/usr/bin/env python3
"""Makes tests/golden/attention/*.safetensors: inputs, and what implementations outside this project compute from them.

A developer runs this by hand; the build and the tests do not: the files it makes are stored. It shares no code with
attnc. It needs a Python environment with
    torch transformers numpy x-transformers torchscale
and, beside each other in one directory, clones of
    FasterDecoding/Medusa  chijames/KERPLE  NVIDIA/NeMo  chuanyang-Zheng/DAPE  kimiyoung/transformer-xl
and is called as
    python scripts/make_golden.py --sources DIRECTORY

Inputs are random numbers rounded to the type that the specification gives them, so that every implementation reads the
same numbers; outputs are computed in float64 where the implementation lets us (golden/record.py) and stored in float32.
The provenance of each output stands in the file's metadata and in README.md beside it, which this script writes too.
"""

import argparse
import importlib.metadata
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
warnings.filterwarnings("ignore")

import torch  # noqa: E402

from golden import biases, masks, relative, rotary, trees  # noqa: E402
from golden.record import Outside  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden" / "attention"
PACKAGES = ("torch", "transformers", "x-transformers", "torchscale")

README = """\
# Attention as others compute it

`FAMILY.attn` states attentions in the language, `FAMILY.safetensors` holds their inputs and what an implementation
outside this project makes of them: `out_NAME`, in some families `lse_NAME`. `golden_test` compares with them
the float64 evaluation, and the compiled kernels on the virtual GPU for each target (`Goldens.def` says what the compiler
refuses today). By hand:

    attnc check tests/golden/attention/masks.attn --attention window --input tests/golden/attention/masks.safetensors \\
      --expected out=tests/golden/attention/masks.safetensors:out_window

The inputs are random, but for the trees of `medusa_trees.json`, which says where it is from. `scripts/make_golden.py` made
the files, and this page, with {versions}.
"float32 inside": the implementation computes parts in float32 whatever it is given, and is compared with more room.

| family | attention | computed by | arithmetic |
|---|---|---|---|
{rows}
"""


def make_all(outside):
    yield masks.make_masks()
    yield masks.make_grids()
    yield masks.make_requests()
    yield from trees.make_trees(outside)
    yield rotary.make_rotary()
    yield rotary.make_rotary_layouts()
    yield rotary.make_rotary_axes()
    yield biases.make_scores()
    yield biases.make_alibi()
    yield biases.make_t5()
    yield biases.make_models()
    yield biases.make_papers(outside)
    yield relative.make_shaw()
    yield relative.make_xl(outside)
    yield relative.make_deberta()
    yield relative.make_other()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", required=True, help="directory of the clones")
    parser.add_argument("--output", default=FOLDER, type=Path)
    options = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    rows = []
    for family in make_all(Outside(options.sources)):
        for name, tensor in family.tensors.items():
            assert not name.startswith("out_") or bool(torch.isfinite(tensor).all()), (family.name, name)
        family.save(options.output, versions)
        for name, record in family.provenance.items():
            rows.append(f"| {family.name} | {name} | {record['source']} | {record['arithmetic']} |")
        print(f"{family.name}: {len(family.provenance)} outputs, "
              f"{(options.output / (family.name + '.safetensors')).stat().st_size / 1024:.0f} KiB")
    (options.output / "README.md").write_text(README.format(versions=versions, rows="\n".join(rows)))


if __name__ == "__main__":
    main()
