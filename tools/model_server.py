"""`python tools/model_server.py` starts the server of the folder beside this file; an import finds the folder first."""

from __future__ import annotations

from model_server.__main__ import main

if __name__ == "__main__":
    main()
