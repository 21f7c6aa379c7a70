"""Everything that reads bytes which others wrote, as targets for inputs made to break them.

`benchmarks/fuzz.py` lets coverage guide the inputs (it needs atheris, of the dependency group `fuzz`); the tests try the
seeds again, and what was found, without it.
"""
