"""`python -m tests.faults NAME …`: one harness, at any size. The words after the name are the harness's own.

Each is a module of this folder with `main(words)`, which answers the exit code: 0 where no promise was broken. With
`--json` its last line on standard output is a `Result`; progress goes to standard error.
"""

import importlib
import sys

from tests.no_transaction import refused, watch

HARNESSES = {
    "failpoints": "failpoints",
    "simulate": "simulate",
    "machine": "machine",
    "differential": "differential",
    "mutants": "mutants",
    "kills": "commands.kills",
    "databases": "commands.databases",
    "network": "commands.network",
    "replicas": "commands.replicas",
    "chaos": "chaos",
}


def main() -> int:
    """Run the harness that the first word names."""
    if len(sys.argv) < 2 or sys.argv[1] not in HARNESSES:
        sys.stderr.write(f"usage: python -m tests.faults {{{'|'.join(HARNESSES)}}} …\n")
        return 2
    watch()
    module, _, function = HARNESSES[sys.argv[1]].partition(".")
    run = getattr(importlib.import_module(f"tests.faults.{module}"), function or "main")
    code = int(run(sys.argv[2:]))
    sys.stderr.writelines(f"{line}\n" for line in refused)
    return code or int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
