"""Count words or lines of a text file."""

import argparse
import json
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description="Count words or lines of a text file.")
    parser.add_argument("path", help="the file")
    parser.add_argument("--unit", choices=["words", "lines"], default="words", help="what is counted")
    options = parser.parse_args()
    text = Path(options.path).read_text(encoding="utf-8")
    total = len(text.split()) if options.unit == "words" else len(text.splitlines())
    print(json.dumps({"total": total}))


if __name__ == "__main__":
    main()
