"""``python -m tests.compliance`` writes the matrix anew; with ``--check`` it says what is wrong with it."""

import sys

from tests.compliance.collect import collect_tests
from tests.compliance.page import PAGE, page
from tests.compliance.rules import problems, read_decisions, read_rules


def main(arguments: list[str]) -> int:
    """Return the exit status: 1 if a rule is without proof or, with ``--check``, the page is stale."""
    rules, decisions, tests = read_rules(), read_decisions(), collect_tests()
    found = problems(rules, decisions, tests)
    made = page(rules, decisions, tests)
    if "--check" not in arguments:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        found.append(f"{PAGE.parent.name}/{PAGE.name} is stale: run `make matrix`")
    for line in found:
        print(line, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
