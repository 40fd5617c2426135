"""What the harnesses of `make chaos` have to see: guards taken out, the words that run one, and what it must report.

Each is a fault of the kind that its harness is about: nothing shows it but processes that die, answers that are lost, a
database that ends, more work than slots, two databases, a second crash.
"""

from dataclasses import dataclass

ANSWERS_PY = "app/worker/answers.py"
DATABASE_PY = "app/database.py"
LEDGER_PY = "app/worker/ledger.py"


@dataclass(frozen=True)
class Blindfold:
    """A mutant, and the harness that must see it: `python -m tests.faults` with these words.

    Of each edit (file, text, instead) the text stands exactly once in the file. `reports` is the kind of promise, as in
    the table of `make chaos`, that the harness finds broken. Where the machine's pace decides what a seed strikes,
    `seeds` are tried one after the other until one shows it.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]
    words: tuple[str, ...]
    reports: str
    seeds: tuple[int, ...] = ()


SEEDS = (2, 1, 3, 4, 5)
BLINDFOLDS = (
    Blindfold(
        "a dead worker's send is forgotten, and its key",
        (
            ("app/worker/expire.py", "if await _unanswered(session, job_id, epoch):", "if False:"),
            (
                LEDGER_PY,
                "if last is None or last.outcome == Outcome.REFUSED:",
                "if last is None or last.outcome != Outcome.UNSENT:",
            ),
        ),
        ("kills", "--count", "16", "--on", "sqlite"),
        "doubled renders",
        SEEDS,
    ),
    Blindfold(
        "a lost answer is a refusal",
        (
            (
                ANSWERS_PY,
                "            return Doubt(error.reason)",
                "            return Release(error.reason, delay)",
            ),
            (
                ANSWERS_PY,
                "return Answer(Outcome.UNCLEAR, error.http_status, ",
                "return Answer(Outcome.REFUSED, error.http_status, ",
            ),
        ),
        ("network", "--count", "30", "--on", "sqlite"),
        "doubled renders",
        SEEDS,
    ),
    Blindfold(
        "PostgreSQL says that it has stored what it has not",
        (
            (
                DATABASE_PY,
                '                "timezone": "UTC",\n',
                '                "timezone": "UTC",\n                "synchronous_commit": "off",\n',
            ),
        ),
        ("databases", "--count", "3", "--on", "postgresql"),
        "lost jobs",
        SEEDS,
    ),
    Blindfold(
        "the account's cap is passed",
        (("app/governor.py", "if sum(held.values()) >= account.limit_now:", "if False:"),),
        ("replicas", "--minutes", "0.3"),
        "caps passed",
    ),
    Blindfold(
        "SQLite knows capitals of English alone",
        (
            (
                DATABASE_PY,
                '        connection.create_function("lower", 1, _lower, deterministic=True)\n',
                "",
            ),
        ),
        ("differential", "--programs", "1"),
        "other broken promises",
    ),
    Blindfold(
        # One send is the job's own, one its repeat, and one follows each crash: no single crash leads to a fourth.
        "a third repeat gets a key of its own",
        ((LEDGER_PY, 'f"{job.id}-{n}"', 'f"{job.id}-{n + (send > 3)}"'),),
        ("failpoints", "--pairs-of", "unsure.intended", "unsure.sent"),
        "doubled renders",
    ),
)
