"""Exports the networks, packs each with `cargo xtask pack` and compares the packed edge with what qonnx computes of the graph.

Prints one line for each, then how many pack. Fails if one that expected.txt lists does not.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import pair
from .examples import EXAMPLES
from .ordinary import ORDINARY

# torch.export cannot follow Brevitas's QuantTensor, which these two need.
TORCHSCRIPT_ONLY = {"RESNET18_4W4A", "MOBILENETV1_4B"}
EXPECTED = Path(__file__).with_name("expected.txt")
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[4] / "target"))


def cases(which: str) -> list[tuple[str, str]]:
    """Names and exporters: of the examples with the default one, of the ordinary networks with each."""
    examples = [(name, "torchscript" if name in TORCHSCRIPT_ONLY else "dynamo") for name in EXAMPLES]
    ordinary = [(name, exporter) for exporter in pair.EXPORTERS for name in ORDINARY]
    return {"examples": examples, "ordinary": ordinary, "all": examples + ordinary}[which]


def pack(xtask: Path, folder: Path) -> dict:
    """What packing the pair and running it gives: `packs`, `equal`, and what was said."""
    edge = folder / "edge.qonnx"
    run = lambda *more: subprocess.run([xtask, "pack", edge, "--edge-only", *more], capture_output=True, text=True)  # noqa: E731
    packed = run()
    if packed.returncode != 0:
        # Also a panic is an answer, though a bad one.
        said = packed.stderr.strip().removeprefix("error: ").replace(f"{edge}: ", "")
        return {"packs": False, "equal": False, "said": said}
    try:
        pair.write_golden(folder)
    except ValueError as error:
        return {"packs": True, "equal": False, "said": str(error)}
    compared = run("--golden", folder / "golden.json")
    difference = re.search(r"logits differ by (\S+).* and (\d+) of (\d+) levels", compared.stdout)
    said = compared.stderr.strip().removeprefix("error: ")
    numbers = dict(zip(("logits", "levels", "of"), map(float, difference.groups()), strict=True)) if difference else {}
    return {"packs": True, "equal": compared.returncode == 0, "said": said, **numbers}


def tried(name: str, exporter: str, options: argparse.Namespace) -> dict:
    """The outcome of one network."""
    folder = options.out / f"{name}-{exporter}" / "1.0.0"
    started = time.perf_counter()
    if not (options.again and (folder / "outputs.npz").is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            pair.write(name, *(EXAMPLES | ORDINARY)[name], pair.EXPORTERS[exporter], folder, options.seed)
        except Exception as error:  # whatever an exporter raises
            said = f"cannot be exported: {type(error).__name__}: {error}".splitlines()[0]
            return {"name": name, "exporter": exporter, "packs": False, "equal": False, "said": said}
    exported = time.perf_counter()
    outcome = pack(options.xtask, folder)
    seconds = [round(exported - started, 1), round(time.perf_counter() - exported, 1)]
    return {"name": name, "exporter": exporter, **outcome, "seconds": seconds}


def line(outcome: dict) -> str:
    """A row of the table."""
    word = "equal" if outcome["equal"] else "DIFFERS" if outcome["packs"] else "refused"
    numbers = f"{outcome['logits']:8.1e} {outcome['levels']:6.0f}" if "logits" in outcome else " " * 15
    said = " / ".join(part.strip() for part in outcome["said"].splitlines()) if not outcome["packs"] or "logits" not in outcome else ""
    return f"{outcome['name']:30} {outcome['exporter']:11} {word:8} {numbers}  {said}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    parser.add_argument("which", choices=["examples", "ordinary", "all"], help="Brevitas's six examples, the 59 ordinary networks, or both")
    parser.add_argument("--xtask", type=Path, default=TARGET / "debug/xtask", help="the program behind `cargo xtask` (%(default)s)")
    parser.add_argument("--out", type=Path, default=TARGET / "xtask/zoo", help="the folder for the pairs (%(default)s)")
    parser.add_argument("--again", action="store_true", help="pack the pairs that an earlier run exported")
    parser.add_argument("--only", default="", help="only names with this text")
    parser.add_argument("--exporter", choices=pair.EXPORTERS, help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="of weights and batch-norms; expected.txt is for 1, the default")
    parser.add_argument("--json", type=Path, help="also write the outcomes to this file")
    options = parser.parse_args()
    print(f"{'network':30} {'exporter':11} {'outcome':8} {'logits':>8} {'levels':>6}")
    outcomes = []
    for name, exporter in cases(options.which):
        if options.only in name and options.exporter in (None, exporter):
            outcomes.append(tried(name, exporter, options))
            print(line(outcomes[-1]), flush=True)
    for kind, names in (("examples", EXAMPLES), ("ordinary", ORDINARY)):
        for exporter in pair.EXPORTERS:
            own = [outcome for outcome in outcomes if outcome["name"] in names and outcome["exporter"] == exporter]
            if own:
                print(f"{kind}, {exporter}: {sum(o['packs'] for o in own)} of {len(own)} pack, {sum(o['equal'] for o in own)} give what their graphs give")
    if options.json:
        options.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    expected = {tuple(entry.split()) for entry in EXPECTED.read_text().splitlines()}
    failed = [o for o in outcomes if (o["name"], o["exporter"]) in expected and not o["equal"]]
    new = [o for o in outcomes if (o["name"], o["exporter"]) not in expected and o["equal"]]
    for word, some in (("expected to be equal, but is not", failed), ("equal, but not in expected.txt", new)):
        for outcome in some:
            print(f"{word}: {outcome['name']} {outcome['exporter']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
