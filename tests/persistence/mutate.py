"""Load thousands of damaged and forged copies of model files, and print what came of them.

    python tests/persistence/mutate.py --count 10000 --seed 0 MODEL [MODEL ...]

Half of the copies are damaged as transport does it; the other half are forged: their checksums are
right. A hook of the interpreter watches every load for code that is run, modules that are imported,
processes, sockets, and files that are opened to be written. Prints JSON.
"""

import argparse
import hashlib
import io
import json
import os
import random
import resource
import signal
import sys
import time
import warnings
import zipfile
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np

import hierlearn
from hierlearn.exceptions import ModelFileError
from hierlearn.persistence import _types

SECONDS = 5
MEMORY = 400 * 2**20  # beyond what the process has when it starts
FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "pickle.")
NAMES = [
    *("os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "posix.system"),
    *("hierlearn.datasets.cifar.load_cifar100", "joblib.memory.Memory", "types.FunctionType"),
    *("torch.nn.Linear", "sklearn.svm.SVC", "hierlearn.networks.mlp.TorchMLPClassifier"),
    *("hierlearn.partition.label_partition.LabelPartition", "functools.partial", "torch.load"),
]
KEYS = [
    *(
        "__class__",
        "__dict__",
        "__reduce__",
        "__setstate__",
        "forward",
        "predict",
        "_forward_hooks",
    ),
    *("_modules", "training", "classes_", "module_", "memory", "n_features_in_", "_input_shape"),
]
VALUES = [
    *(None, True, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, "", "x" * 1000, [], {}, [[]], {"ref": 0}),
    *({"ref": -1}, {"ref": 10**9}, {"float": "nan"}, {"numpy": ["float64", "1"]}, {"ref": "0"}),
    *({"numpy": ["object", 1]}, [10**9, 10**9], {"kind": "leaf", "leaf": 0}),
]


# -- what is watched -------------------------------------------------------------------------------


class Watch:
    """Notes what a load must not do."""

    def __init__(self):
        self.on = False
        self.seen = Counter()
        sys.addaudithook(self)

    def __call__(self, event, args):
        if not self.on:
            return
        if event == "compile" and args[1] == "<unknown>":
            return  # ast.literal_eval of numpy's header makes no code
        writes = event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event.startswith(FORBIDDEN):
            self.on = False
            self.seen[f"{event} {str(args)[:200]}"] += 1
            self.on = True


def on_alarm(*args):
    raise TimeoutError("a load took too long")


def warm_up(paths):
    """Import all that files may name, so that an import while loading is one too many."""
    for name in _types.OURS:
        try:
            import_module(name.rpartition(".")[0])
        except ImportError:
            continue
    for name in _types._SKLEARN_MODULES:
        import_module(name)
    for path in paths:
        hierlearn.load(path)


# -- damage ----------------------------------------------------------------------------------------


def damaged(content, draw):
    """Return bytes with some of them changed, lost or moved."""
    data = bytearray(content)
    kind = draw.choice(
        ["flip", "flip", "flips", "cut", "zero", "double", "drop", "splice", "noise"]
    )
    at = draw.randrange(len(data))
    length = min(draw.choice([1, 4, 16, 64, 1000]), len(data) - at)
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else draw.randrange(2, 50)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "zero":
        data[at : at + length] = bytes(length)
    elif kind == "double":
        data[at:at] = data[at : at + length]
    elif kind == "drop":
        del data[at : at + length]
    elif kind == "splice":
        other = draw.randrange(len(data))
        data[at : at + length] = data[other : other + length]
    else:
        data[at : at + length] = draw.randbytes(length)
    return bytes(data)


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts, manifest=None):
    """Return a file of these parts whose checksums are right."""
    manifest = manifest or json.loads(parts["manifest.json"])
    manifest["parts"] = {
        name: {"size": len(part), "sha256": hashlib.sha256(part).hexdigest()}
        for name, part in parts.items()
        if name != "manifest.json"
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, part in parts.items():
            if name != "manifest.json":
                archive.writestr(name, part)
    return file.getvalue()


def places(value, found=None):
    """Return every container of a JSON document."""
    found = [] if found is None else found
    if isinstance(value, (dict, list)):
        found.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            places(item, found)
    return found


def forged_json(document, draw):
    """Change a document where it stands."""
    everywhere = [place for place in places(document) if place]
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        place = draw.choice(everywhere)
        key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
        other = draw.choice(everywhere)
        kind = draw.choice(["value", "name", "key", "delete", "move", "ref", "double"])
        if kind == "value":
            place[key] = draw.choice(VALUES)
        elif kind == "name":
            place[key] = draw.choice(NAMES)
        elif kind == "key" and isinstance(place[key], str):
            place[key] = draw.choice(KEYS)
        elif kind == "delete":
            del place[key]
            everywhere = [place for place in everywhere if place]
        elif kind == "move":
            place[key] = json.loads(json.dumps(other))
        elif kind == "ref":
            place[key] = {"ref": draw.randrange(200)}
        elif isinstance(place, list):
            place.append(json.loads(json.dumps(place[key])))
        if not everywhere:
            return


def forged_leaves(content, draw):
    """Change what skops wrote, inside its own archive."""
    parts = parts_of(content)
    name = draw.choice(list(parts))
    if name == "schema.json" and draw.random() < 0.8:
        schema = json.loads(parts[name])
        forged_json(schema, draw)
        parts[name] = json.dumps(schema).encode()
    else:
        parts[name] = damaged(parts[name], draw)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def forged(content, draw):
    """Return a file that was changed, and whose checksums fit the change."""
    parts = parts_of(content)
    manifest = json.loads(parts["manifest.json"])
    names = [name for name in parts if name != "manifest.json"]
    name = draw.choice([*names, "model.json", "model.json", "manifest.json"])
    if name == "manifest.json":
        forged_json(manifest, draw)
        file = packed(parts) if not isinstance(manifest, dict) else None
        return file or packed(parts, manifest)
    if name == "model.json" and draw.random() < 0.8:
        document = json.loads(parts[name])
        forged_json(document, draw)
        parts[name] = json.dumps(document).encode()
    elif name == "leaves.skops" and draw.random() < 0.7:
        parts[name] = forged_leaves(parts[name], draw)
    else:
        parts[name] = damaged(parts[name], draw)
    return packed(parts, manifest)


# -- the run ---------------------------------------------------------------------------------------


def answers(model):
    """Return what a model says of fixed rows; a partition, what it is."""
    if not hasattr(model, "predict_proba"):
        return repr(model) + str(getattr(model, "labels", ""))
    rows = np.random.default_rng(0).random((7, model.n_features_in_))
    return model.predict_proba(rows).tobytes()


def outcome(path, watch, expected):
    """Load one file and say what came of it; expected is None for a forged one."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    watch.on = True
    try:
        model = hierlearn.load(path)
    except ModelFileError as error:
        cause = type(error.__cause__).__name__
        if cause in ("TimeoutError", "MemoryError"):
            return cause, None
        return "refused", cause
    except TimeoutError:
        return "TimeoutError", None
    except BaseException as error:
        return f"raised {type(error).__name__}: {str(error)[:200]}", None
    finally:
        watch.on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    if expected is None:
        return "loaded", None
    return ("same" if answers(model) == expected else "wrong"), None


def run(paths, count, seed, folder):
    warnings.simplefilter("ignore")
    warm_up(paths)
    watch, draw = Watch(), random.Random(seed)
    signal.signal(signal.SIGALRM, on_alarm)
    sound = [(Path(path).read_bytes(), answers(hierlearn.load(path))) for path in paths]
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts, causes, slowest = {"damaged": Counter(), "forged": Counter()}, Counter(), 0.0
    target = Path(folder) / "mutant.hierlearn"
    for number in range(count):
        content, expected = sound[number % len(sound)]
        kind = "damaged" if number // len(sound) % 2 else "forged"
        mutant = damaged(content, draw) if kind == "damaged" else forged(content, draw)
        target.write_bytes(mutant)
        start = time.perf_counter()
        found, cause = outcome(target, watch, expected if kind == "damaged" else None)
        slowest = max(slowest, time.perf_counter() - start)
        counts[kind][found] += 1
        causes[cause] += 1
        if found not in ("refused", "loaded", "same"):
            (Path(folder) / f"bad-{number}.hierlearn").write_bytes(mutant)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        **{kind: dict(found) for kind, found in counts.items()},
        "events": dict(watch.seen),
        "causes": {str(name): number for name, number in causes.most_common()},
        "slowest_seconds": round(slowest, 3),
        "grown_mb": round((after - before) / 1024, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default=".", help="where mutants are written")
    given = parser.parse_args()
    print(json.dumps(run(given.models, given.count, given.seed, given.folder), indent=1))
