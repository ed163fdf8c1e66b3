"""Writes every golden file anew: `python -m tests.conformance.make_vectors`, from the root of the project.

The same files come out on every machine: keys are made from fixed seeds, and Ed25519 signs without
randomness. A file that changes is a change of format: say so in the change log, and raise the kind's version.
"""

from tests.conformance.golden import ROOT, kinds, rendered


def main() -> None:
    """Write all files of all kinds."""
    for kind in kinds().values():
        folder = ROOT / kind.name
        folder.mkdir(parents=True, exist_ok=True)
        for file in kind.files:
            (folder / f"{file}.json").write_text(rendered(kind, file), encoding="utf-8")


if __name__ == "__main__":
    main()
