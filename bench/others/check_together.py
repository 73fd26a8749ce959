"""Together's `check_file`, from its package: what its command line runs before an upload.

Version 3 reads the file twice, as text and as JSON, and asks each line to be an object; roles and contents are left to
Together's servers. It stops at the first line that is no JSON.
"""

import sys

from together.lib.utils.files import check_file


def main(source: str) -> None:
    """Check a file. Raises: SystemExit: it did not read it to its end."""
    report = check_file(source)
    if not report["is_check_passed"]:
        raise SystemExit(report["message"])
    print(report["num_samples"], "samples")


if __name__ == "__main__":
    main(sys.argv[1])
